//! Files from users' URLs, through the guard, with a limit on length and time. A redirect is followed by
//! hand, so that each hop is checked like the first.

use super::{MAX_MEDIA, MediaSource};
use crate::clients::{self, AllowPrivate};
use crate::error::{ServiceError, StartError};
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use url::Url;

/// How many redirects are followed.
const REDIRECTS: usize = 3;

/// Fetches files.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: reqwest::Client,
    allow: AllowPrivate,
}

/// A file and what its server said of it.
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    pub(crate) said: Option<String>,
    pub(crate) name: Option<String>,
}

/// The beginning of a page.
pub(crate) struct Page {
    pub(crate) bytes: Bytes,
    /// What its server says that it is, in small letters.
    pub(crate) kind: String,
    /// Where it was in the end.
    pub(crate) url: Url,
}

impl Fetcher {
    pub(crate) fn new(allow: AllowPrivate) -> Result<Self, StartError> {
        let client =
            clients::guarded(&allow).map_err(|error| StartError::Http(error.to_string()))?;
        Ok(Self { client, allow })
    }

    /// Whether a user's URL may be fetched at all.
    pub(crate) fn check(&self, text: &str) -> Result<(), ServiceError> {
        clients::check_url(text, &self.allow).map(drop).map_err(ServiceError::UrlNotAllowed)
    }

    /// A file in memory.
    pub(crate) async fn bring(&self, source: &MediaSource) -> Result<Fetched, ServiceError> {
        match source {
            MediaSource::Bytes(bytes) if bytes.len() > MAX_MEDIA => Err(too_long()),
            MediaSource::Bytes(bytes) => {
                Ok(Fetched { bytes: bytes.clone(), said: None, name: None })
            }
            MediaSource::Url(text) => self.fetch(text, MAX_MEDIA).await,
        }
    }

    /// What is behind a URL, if it is no longer than that.
    pub(crate) async fn fetch(&self, text: &str, limit: usize) -> Result<Fetched, ServiceError> {
        let (answer, url) = self.open(text, "*/*").await?;
        take(answer, &url, limit).await
    }

    /// The beginning of a page of the web, at most `keep` bytes of it, whatever follows.
    pub(crate) async fn page(&self, text: &str, keep: usize) -> Result<Page, ServiceError> {
        let (mut answer, url) = self.open(text, "text/html").await?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            bytes.extend_from_slice(&chunk[..chunk.len().min(keep - bytes.len())]);
            if bytes.len() >= keep {
                break;
            }
        }
        Ok(Page { bytes: bytes.freeze(), kind, url })
    }

    /// The answer behind a URL and the redirects from there, with the URL that gave it. Only successes.
    async fn open(
        &self,
        text: &str,
        accept: &'static str,
    ) -> Result<(reqwest::Response, Url), ServiceError> {
        let mut url = clients::check_url(text, &self.allow).map_err(ServiceError::UrlNotAllowed)?;
        for _ in 0..=REDIRECTS {
            let request = self.client.get(url.clone()).header(ACCEPT, accept);
            let answer = request.send().await.map_err(|e| unreachable(&e))?;
            if answer.status().is_redirection() {
                url = self.next(&url, &answer)?;
                continue;
            }
            if !answer.status().is_success() {
                let status = answer.status().as_u16();
                let why = format!("its server answers {status}");
                return Err(ServiceError::MediaUnreachable(why));
            }
            return Ok((answer, url));
        }
        Err(ServiceError::MediaUnreachable("it redirects too often".into()))
    }

    fn next(&self, from: &Url, answer: &reqwest::Response) -> Result<Url, ServiceError> {
        let target = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = target.and_then(|target| from.join(target).ok());
        let target = target
            .ok_or_else(|| ServiceError::MediaUnreachable("it redirects to nowhere".into()))?;
        clients::check_url(target.as_str(), &self.allow).map_err(ServiceError::UrlNotAllowed)
    }
}

async fn take(
    mut answer: reqwest::Response,
    url: &Url,
    limit: usize,
) -> Result<Fetched, ServiceError> {
    let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let said = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.map(|text| text.split(';').next().unwrap_or(text).trim().to_owned());
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default());
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    let last = url.path_segments().and_then(|mut parts| parts.next_back());
    let name = last.filter(|name| name.contains('.')).map(str::to_owned);
    Ok(Fetched { bytes: bytes.freeze(), said, name })
}

fn too_long() -> ServiceError {
    ServiceError::MediaTooLong { limit: MAX_MEDIA }
}

/// Without the URL, which may carry a token.
fn unreachable(error: &reqwest::Error) -> ServiceError {
    let why = if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        "its server can't be reached, or its address is not allowed"
    } else {
        "its server breaks off"
    };
    ServiceError::MediaUnreachable(why.into())
}
