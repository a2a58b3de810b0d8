//! Headers that a user adds to every request: which may be given, and what is sent of them.
//!
//! What belongs to the request itself is ours: its framing, its body, its signature and its trace. The name
//! [`JWT_KEY`] is no header: its value is a key that is never sent, and signs a token for each request.

use crate::clock::Millis;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

/// The name of the key that signs a bearer token for each request.
pub const JWT_KEY: &str = "jwt_key";

/// Most headers of an endpoint.
pub const MAX_HEADERS: usize = 20;
/// Most bytes of all their names and values.
pub const MAX_HEADER_BYTES: usize = 8 << 10;

/// How long a token is good.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// Names that are ours, or of the connection.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
];
/// Beginnings of such names.
const RESERVED_FAMILIES: [&str; 2] = ["webhook-", "proxy-"];

/// Headers that can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than [`MAX_HEADERS`].
    #[error("a webhook has at most {MAX_HEADERS} headers")]
    TooMany,
    /// More than [`MAX_HEADER_BYTES`].
    #[error(
        "the names and values of a webhook's headers have at most {MAX_HEADER_BYTES} bytes in all"
    )]
    TooLong,
    /// No name of a header.
    #[error("the name of a header is made of letters, digits and !#$%&'*+-.^_`|~; {0:?} is not")]
    Name(String),
    /// A name that is given by the request.
    #[error("{0} is set by Flowcore itself or by the connection; leave it out")]
    Reserved(String),
    /// A body of another kind.
    #[error("the body is JSON: content-type can be nothing but application/json")]
    ContentType,
    /// The same name in two spellings.
    #[error("{0} is given twice")]
    Twice(String),
    /// No value of a header. It may be a credential, so it is not repeated.
    #[error("the value of {0} has to be printable ASCII")]
    Value(String),
    /// A token needs a key.
    #[error("jwt_key can't be empty")]
    NoKey,
}

/// Whether these headers can be sent.
///
/// # Errors
/// [`HeaderError`] says what the rule is.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), HeaderError> {
    if headers.len() > MAX_HEADERS {
        return Err(HeaderError::TooMany);
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        > MAX_HEADER_BYTES
    {
        return Err(HeaderError::TooLong);
    }
    let mut names = std::collections::BTreeSet::new();
    for (given, value) in headers {
        let name = given.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(in_name) {
            return Err(HeaderError::Name(given.clone()));
        }
        if name == JWT_KEY && value.is_empty() {
            return Err(HeaderError::NoKey);
        }
        if name == "content-type" && !is_json(value) {
            return Err(HeaderError::ContentType);
        }
        if reserved(&name) {
            return Err(HeaderError::Reserved(name));
        }
        if name != JWT_KEY && !value.bytes().all(in_value) {
            return Err(HeaderError::Value(name));
        }
        if !names.insert(name.clone()) {
            return Err(HeaderError::Twice(name));
        }
    }
    Ok(())
}

/// What is sent of an endpoint's headers, names in lower case. Those of the request itself are left out,
/// however they came to be stored.
pub(super) fn sent(headers: &BTreeMap<String, String>, now: Millis) -> BTreeMap<String, String> {
    let mut sent = BTreeMap::new();
    let mut token = None;
    for (given, value) in headers {
        let name = given.to_ascii_lowercase();
        if name == JWT_KEY {
            token = Some(format!("Bearer {}", bearer_token(value, now)));
        } else if name != "content-type" && !reserved(&name) {
            sent.insert(name, value.clone());
        }
    }
    if let Some(token) = token {
        sent.insert("authorization".to_owned(), token);
    }
    sent
}

/// A JSON Web Token that is good for ten minutes.
fn bearer_token(key: &str, now: Millis) -> String {
    let (from, until) = (now.seconds(), now.plus(TOKEN_LIFETIME).seconds());
    let claims = format!(r#"{{"iat":{from},"exp":{until},"app":"evolution","action":"webhook"}}"#);
    let [head, claims] =
        [r#"{"alg":"HS256","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{head}.{claims}").as_bytes());
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_FAMILIES.iter().any(|family| name.starts_with(family))
}

fn is_json(value: &str) -> bool {
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn in_value(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_that_are_ours_and_what_is_no_header_are_refused() {
        for name in [
            "Webhook-Signature",
            "webhook-id",
            "webhook-timestamp",
            "webhook-anything",
            "TraceParent",
            "host",
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "proxy-authorization",
            "te",
        ] {
            let reserved = Err(HeaderError::Reserved(name.to_ascii_lowercase()));
            assert_eq!(check_headers(&headers(&[(name, "x")])), reserved);
        }
        for name in ["", "a b", "a:b", "a\r\nb", "größe"] {
            let refused = check_headers(&headers(&[(name, "x")]));
            assert_eq!(refused, Err(HeaderError::Name(name.to_owned())));
        }
        for value in ["a\r\nx: y", "\0", "größe", "\u{7f}"] {
            let refused = check_headers(&headers(&[("X-Token", value)]));
            assert_eq!(refused, Err(HeaderError::Value("x-token".to_owned())));
        }
        let twice = headers(&[("X-Token", "a"), ("x-token", "b")]);
        assert_eq!(check_headers(&twice), Err(HeaderError::Twice("x-token".to_owned())));
        let text = headers(&[("content-type", "text/plain")]);
        assert_eq!(check_headers(&text), Err(HeaderError::ContentType));
        assert_eq!(check_headers(&headers(&[("jwt_key", "")])), Err(HeaderError::NoKey));
    }

    #[test]
    fn there_is_a_limit_to_how_many_and_how_long() {
        let many = |count: usize| (0..count).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
        assert_eq!(check_headers(&many(MAX_HEADERS)), Ok(()));
        assert_eq!(check_headers(&many(MAX_HEADERS + 1)), Err(HeaderError::TooMany));
        let long = |length| headers(&[("x", &"v".repeat(length))]);
        assert_eq!(check_headers(&long(MAX_HEADER_BYTES - 1)), Ok(()));
        assert_eq!(check_headers(&long(MAX_HEADER_BYTES)), Err(HeaderError::TooLong));
    }

    #[test]
    fn what_is_sent_is_the_users_own_and_nothing_of_the_request() {
        let given = headers(&[
            ("Authorization", "Bearer mine"),
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Tenant", "7"),
        ]);
        assert_eq!(check_headers(&given), Ok(()));
        let expected = headers(&[("authorization", "Bearer mine"), ("x-tenant", "7")]);
        assert_eq!(sent(&given, Millis(0)), expected);
        assert_eq!(sent(&headers(&[("webhook-id", "false")]), Millis(0)), headers(&[]));
    }

    /// Checked against what `openssl dgst -sha256 -hmac` makes of the same text.
    #[test]
    fn a_key_for_tokens_signs_one_and_is_never_sent() {
        let given = headers(&[("Authorization", "mine"), ("JWT_key", "hush hush"), ("x", "y")]);
        let sent = sent(&given, Millis(1_700_000_000_000));
        assert_eq!(sent.len(), 2);
        assert!(!format!("{sent:?}").contains("hush"));
        let token = sent["authorization"].strip_prefix("Bearer ").expect("a bearer token");
        let parts: Vec<&str> = token.split('.').collect();
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
        };
        assert_eq!(read(parts[0]), serde_json::json!({ "alg": "HS256", "typ": "JWT" }));
        let claims = serde_json::json!({
            "iat": 1_700_000_000, "exp": 1_700_000_600, "app": "evolution", "action": "webhook"
        });
        assert_eq!(read(parts[1]), claims);
        assert_eq!(parts[2], "ZFolhY5hOXH2-E9RJgHjHIf0L9jI4aWNNB48fF5Zd10");
    }
}
