//! One signed request to an endpoint. The worker and the test of an endpoint post alike.

use crate::clients::{self, AllowPrivate};
use crate::error::StartError;
use flowcore_domain::clock::Millis;
use flowcore_domain::webhook::Webhook;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, Instant};

/// How much of an error is kept for the log.
const ERROR_LENGTH: usize = 200;
/// How much of an answer's body is kept.
const ANSWER_LENGTH: usize = 512;

/// Posts to users' URLs.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    client: reqwest::Client,
    /// Private addresses that may be posted to.
    pub(crate) allow: AllowPrivate,
    /// The address of this server, for the body.
    pub(crate) server_url: String,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Posted {
    /// The receiver's status, or what went wrong.
    pub(crate) status: Result<u16, String>,
    /// The wait that the receiver asked for.
    pub(crate) wait: Option<Duration>,
    /// The beginning of the answer's body.
    pub(crate) answer: Option<String>,
    pub(crate) duration_ms: u64,
}

/// The headers that are ours, in the order in which they are sent.
pub(crate) type Signed = Vec<(&'static str, String)>;

impl Poster {
    pub(crate) fn new(allow: AllowPrivate, server_url: String) -> Result<Self, StartError> {
        let client =
            clients::guarded(&allow).map_err(|error| StartError::Http(error.to_string()))?;
        Ok(Self { client, allow, server_url })
    }

    /// The headers of a request: the kind of the body, its signatures, and where it belongs in a trace.
    pub(crate) fn sign(webhook: &Webhook, id: &str, now: Millis, body: &[u8]) -> Signed {
        vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", webhook.sign(id, now, body)),
            ("traceparent", traceparent(id)),
        ]
    }

    /// Posts; how the receiver takes it is in the answer.
    pub(crate) async fn post(
        &self,
        webhook: &Webhook,
        destination: &str,
        signed: &Signed,
        (body, now): (Vec<u8>, Millis),
    ) -> Posted {
        let began = Instant::now();
        let exchanged = self.exchange(webhook, destination, signed, (body, now)).await;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match exchanged {
            Ok((status, wait, answer)) => {
                let answer = (!answer.is_empty()).then_some(answer);
                Posted { status: Ok(status), wait, answer, duration_ms }
            }
            Err(error) => Posted { status: Err(error), wait: None, answer: None, duration_ms },
        }
    }

    async fn exchange(
        &self,
        webhook: &Webhook,
        destination: &str,
        signed: &Signed,
        (body, now): (Vec<u8>, Millis),
    ) -> Result<(u16, Option<Duration>, String), String> {
        let url = clients::check_url(destination, &self.allow)?;
        let request = self.client.post(url).headers(own_headers(webhook, now)).body(body);
        let request =
            signed.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let answer = request.send().await.map_err(|error| describe(&error))?;
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers(), now);
        let beginning = clients::beginning(answer, ANSWER_LENGTH).await;
        Ok((status, wait, String::from_utf8_lossy(&beginning).into_owned()))
    }
}

/// The W3C's trace context: the event is the trace, each attempt a span of it. The same id is in our logs
/// and in the delivery log, so a receiver's trace leads here.
fn traceparent(event: &str) -> String {
    let trace = event.replace('-', "");
    // A span of zeros means none.
    let span = rand::random::<u64>() | 1;
    format!("00-{trace}-{span:016x}-01")
}

/// The user's headers; those that can't be sent were refused when they were set.
fn own_headers(webhook: &Webhook, now: Millis) -> HeaderMap {
    let read = |(name, value): (String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    webhook.sent_headers(now).into_iter().filter_map(read).collect()
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_millisecond();
    Some(Duration::from_millis(u64::try_from(at - now.0).unwrap_or(0)))
}

/// What went wrong, without the URL: it may carry a secret.
fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        let source = std::error::Error::source(error);
        source.map_or_else(|| "the request failed".to_owned(), innermost)
    };
    what.chars().take(ERROR_LENGTH).collect()
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_receiver_asks_for_is_read_as_seconds_and_as_a_date() {
        // 21 October 2015, 07:28:00 UTC
        let now = Millis(1_445_412_480_000);
        let asked = |value: &'static str| {
            let headers =
                [("retry-after".try_into().expect("a name"), HeaderValue::from_static(value))];
            retry_after(&headers.into_iter().collect(), now)
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked("120"), seconds(120));
        assert_eq!(asked("Wed, 21 Oct 2015 07:30:00 GMT"), seconds(120));
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), seconds(0), "it is over");
        for nonsense in ["", "soon", "-5", "1.5", "99999999999999999999999"] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
