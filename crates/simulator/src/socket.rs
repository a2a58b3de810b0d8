//! One chat socket, from the WebSocket upgrade to its end.
//!
//! 1. Noise handshake, within [`HANDSHAKE_DEADLINE`].
//! 2. The payload says who it is: a device that wants to be linked, or a linked device.
//! 3. Until the end two loops run side by side: the reader handles each stanza on the world and
//!    posts the replies; the writer sends what the mailbox holds and what the device's queue has.
//!
//! A client that says nothing for half the network's patience is pinged, and gone when it does not
//! answer within the other half. Whatever a client sends, only its own socket can end by it.

mod login;
pub(crate) mod mailbox;
pub(crate) mod session;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::wire::cipher::StanzaReader;
use crate::wire::frames::{FrameError, FrameReader, write_frame};
use crate::wire::noise::{self, Established, HandshakeError, HelloAnswer};
use crate::world::faults::FaultKind;
use crate::world::stats::Stats;
use mailbox::{Freeze, Mailbox, SocketId};
use session::Session;

/// Clients give up on a silent server after 20 s; the server is as patient.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(20);
/// How long a peer whose bytes made no sense may take to read why.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Why a socket ended without the client closing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Stanza(#[from] crate::wire::cipher::StanzaError),
    #[error("the peer went silent")]
    Silent,
    #[error("the peer is gone")]
    Gone,
    #[error("the payload is refused: {0}")]
    Payload(&'static str),
}

impl SocketError {
    /// The statistics' name for it; `None` when nothing was wrong with what the peer sent.
    fn counted_as(&self) -> Option<&'static str> {
        match self {
            Self::Frame(_) => Some("frame"),
            Self::Handshake(_) => Some("handshake"),
            Self::Stanza(_) => Some("stanza"),
            Self::Payload(_) => Some("payload"),
            Self::Silent => Some("silent"),
            Self::Gone => None,
        }
    }
}

/// Serves one chat socket until it ends.
pub(crate) async fn serve(hub: Arc<Hub>, socket: WebSocket) {
    let cancel = hub.cancel.child_token();
    let (sink, stream) = socket.split();
    hub.world().stats.sockets += 1;
    let id = hub.next_socket_id();
    let connection = Connection { hub: Arc::clone(&hub), id, cancel, sink };
    let mut frames = Frames::new(stream);
    if let Err(error) = connection.run(&mut frames).await {
        if let Some(reason) = error.counted_as() {
            Stats::count(&mut hub.world().stats.refused, reason.to_owned());
        }
        tracing::debug!(socket = id.0, %error, "chat socket ended");
    }
    hub.world().stats.sockets -= 1;
}

struct Connection {
    hub: Arc<Hub>,
    id: SocketId,
    cancel: CancellationToken,
    sink: SplitSink<WebSocket, Message>,
}

impl Connection {
    async fn run(mut self, frames: &mut Frames) -> Result<(), SocketError> {
        let cancel = self.cancel.clone();
        let established = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            done = timeout(HANDSHAKE_DEADLINE, self.shake_hands(frames)) => {
                done.map_err(|_| SocketError::Silent)??
            }
        };
        frames.reader.handshake_done();
        *self.hub.world().stats.handshakes.entry(established.pattern.name()).or_default() += 1;
        let Established { read, write, client_static, payload, .. } = established;
        let freeze = Freeze::default();
        let (mailbox, incoming) = Mailbox::new(self.cancel.clone(), freeze.clone());
        let session = Session::new(Arc::clone(&self.hub), self.id, mailbox);
        let writer = writer::Writer::new(write, self.sink, incoming, session.delivery());
        let reading = async {
            let outcome = session.begin(&client_static, payload).await;
            let outcome = match outcome {
                Ok(()) => read_stanzas(&session, frames, StanzaReader::new(read), &freeze).await,
                Err(error) => Err(error),
            };
            session.end();
            outcome
        };
        let (outcome, ()) = tokio::join!(reading, writer.run());
        outcome
    }

    async fn shake_hands(&mut self, frames: &mut Frames) -> Result<Established, SocketError> {
        let hello = frames.next().await?;
        let hub = Arc::clone(&self.hub);
        // Nobody knows yet whose hello this is.
        let expired = hub.world().faults.strike(FaultKind::ExpiredCertificate, "*").is_some();
        let identity = if expired { hub.expired_identity() } else { hub.identity() };
        let answer = noise::answer_hello(&identity, &hello, |client_static, payload| {
            let mut world = hub.world();
            login::claimed_device(payload).is_some_and(|address| {
                world.faults.strike(FaultKind::RefuseResume, &address.phone).is_none()
                    && world
                        .device(&address)
                        .is_some_and(|device| device.keys.noise == *client_static)
            })
        })?;
        match answer {
            HelloAnswer::Resumed(bytes, established) => {
                self.send(&bytes).await?;
                Ok(*established)
            }
            HelloAnswer::Proved(bytes, awaiting) => {
                self.send(&bytes).await?;
                let finish = frames.next().await?;
                Ok(awaiting.finish(&finish)?)
            }
        }
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        let mut framed = Vec::with_capacity(payload.len() + 3);
        write_frame(payload, &mut framed);
        self.sink.send(Message::Binary(framed.into())).await.map_err(|_| SocketError::Gone)
    }
}

async fn read_stanzas(
    session: &Session,
    frames: &mut Frames,
    mut reader: StanzaReader,
    freeze: &Freeze,
) -> Result<(), SocketError> {
    let mut asked = false;
    loop {
        let heard = tokio::select! {
            biased;
            () = session.cancelled() => return Ok(()),
            heard = timeout(session.patience(), frames.next()) => heard,
        };
        let frame = match heard {
            Ok(frame) => frame?,
            Err(_) if asked => return Err(SocketError::Silent),
            Err(_) => {
                asked = true;
                session.ask_for_a_sign().await;
                continue;
            }
        };
        asked = false;
        tokio::select! {
            biased;
            () = session.cancelled() => return Ok(()),
            () = freeze.thawed() => {}
        }
        match reader.open(frame) {
            Ok(stanza) => session.handle(stanza).await,
            Err(error) => {
                // Whoever does not read it is cut off all the same.
                let _told_or_not = timeout(LAST_WORD, session.complain()).await;
                return Err(error.into());
            }
        }
    }
}

/// Whole frames from the WebSocket.
struct Frames {
    stream: SplitStream<WebSocket>,
    reader: FrameReader,
}

impl Frames {
    fn new(stream: SplitStream<WebSocket>) -> Self {
        Self { stream, reader: FrameReader::default() }
    }

    async fn next(&mut self) -> Result<BytesMut, SocketError> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(frame);
            }
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => self.reader.feed(&bytes),
                // Text is no part of the protocol; the frame reader says so.
                Some(Ok(Message::Text(text))) => self.reader.feed(text.as_bytes()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(SocketError::Gone),
            }
        }
    }
}
