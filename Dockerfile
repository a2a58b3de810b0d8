# A small image with the one binary, for a user without rights. Written by the book and not yet tried with a
# container engine: there was none where it was made.
FROM docker.io/library/rust:1.95-slim-trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Alone: other packages' features never reach what users run.
RUN cargo build --release --locked -p flowcore-server && cp target/release/flowcore /flowcore

FROM docker.io/library/debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin flowcore \
    && install -d -o flowcore -g flowcore -m 0700 /data
COPY --from=build /flowcore /usr/local/bin/flowcore
USER flowcore
ENV FLOWCORE_HOST=0.0.0.0 FLOWCORE_DATA_DIR=/data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["flowcore", "healthcheck"]
ENTRYPOINT ["flowcore"]
