//! Signed tokens (RFC 7515, 7519): ours, and those of others whose keys we were given.
//!
//! Which algorithm is acceptable is decided by the key, never by the token: `none` is no algorithm, and a
//! public key is never taken for a shared secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowcore_domain::clock::Millis;
use ring::{hmac, signature};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest token that is looked at.
const MAX_TOKEN: usize = 8 << 10;
/// How much the clocks of two machines may differ, in seconds.
const LEEWAY: i64 = 30;

/// A key that tokens are checked with.
pub(crate) enum Key {
    /// HS256.
    Secret(hmac::Key),
    /// ES256: an uncompressed point of P-256.
    P256(Vec<u8>),
    /// RS256: modulus and exponent.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Key {
    /// A shared secret.
    pub(crate) fn secret(bytes: &[u8]) -> Self {
        Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A key of a JSON Web Key Set, if it is of a kind that we take.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        if jwk["use"].as_str().is_some_and(|usage| usage != "sig") {
            return None;
        }
        match jwk["kty"].as_str()? {
            "EC" if jwk["crv"] == "P-256" => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                (x.len() == 32 && y.len() == 32).then(|| Self::P256([vec![4], x, y].concat()))
            }
            "RSA" => Some(Self::Rsa { n: bytes("n")?, e: bytes("e")? }),
            _ => None,
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::P256(_) => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, tag).is_ok(),
            Self::P256(point) => {
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED;
                signature::UnparsedPublicKey::new(algorithm, point).verify(message, tag).is_ok()
            }
            Self::Rsa { n, e } => {
                let algorithm = &signature::RSA_PKCS1_2048_8192_SHA256;
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(algorithm, message, tag).is_ok()
            }
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// A token that has the form of one. Nothing in it is true until [`Token::claims`] says so.
pub(crate) struct Token<'a> {
    header: Header,
    message: &'a str,
    payload: &'a str,
    tag: Vec<u8>,
}

/// Whether a credential has the form of a token: keys have no dots.
pub(crate) fn looks_like_one(credential: &str) -> bool {
    credential.starts_with("eyJ") && credential.bytes().filter(|b| *b == b'.').count() == 2
}

impl<'a> Token<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (message, tag) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self { header, message, payload, tag: URL_SAFE_NO_PAD.decode(tag).ok()? })
    }

    /// Which key it says that it was signed with.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether it says that it was signed with a shared secret.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.header.alg == "HS256"
    }

    /// What it says, when it was signed with this key and is good now.
    pub(crate) fn claims(&self, key: &Key, now: Millis) -> Option<Value> {
        if self.header.alg != key.algorithm() || !key.verifies(self.message.as_bytes(), &self.tag) {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let seconds = now.seconds();
        let time = |name: &str| claims.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
        let (now, early) = (seconds as f64, (seconds + LEEWAY) as f64);
        let fresh = time("exp").is_some_and(|end| end > now);
        let begun = ["nbf", "iat"].iter().all(|name| time(name).is_none_or(|at| at <= early));
        (fresh && begun).then_some(claims)
    }
}

/// Signs claims with HS256.
pub(crate) fn sign(claims: &Value, key: &hmac::Key) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(claims));
    let tag = hmac::sign(key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Whether a token is meant for this audience (one, or several).
pub(crate) fn is_for(claims: &Value, audience: &str) -> bool {
    match &claims["aud"] {
        Value::String(one) => one == audience,
        Value::Array(several) => several.iter().any(|one| one == audience),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_767_603_600_000);

    fn signed(claims: &Value) -> String {
        sign(claims, &hmac::Key::new(hmac::HMAC_SHA256, b"a secret"))
    }

    fn read(token: &str) -> Option<Value> {
        Token::parse(token)?.claims(&Key::secret(b"a secret"), NOW)
    }

    #[test]
    fn a_token_is_good_while_it_lasts_and_as_it_was_signed() {
        let seconds = NOW.seconds();
        let good = signed(&json!({ "sub": "a", "exp": seconds + 10, "nbf": seconds }));
        assert!(looks_like_one(&good));
        assert_eq!(read(&good).expect("claims")["sub"], "a");
        for bad in [
            json!({ "sub": "a" }),
            json!({ "sub": "a", "exp": seconds }),
            json!({ "sub": "a", "exp": "soon" }),
            json!({ "sub": "a", "exp": seconds + 100, "nbf": seconds + 60 }),
            json!({ "sub": "a", "exp": seconds + 100, "nbf": "now" }),
        ] {
            assert_eq!(read(&signed(&bad)), None, "{bad}");
        }
        let mut changed = good.clone().into_bytes();
        for at in [4, good.len() / 2, good.len() - 2] {
            changed[at] ^= 1;
            assert_eq!(read(&String::from_utf8(changed.clone()).expect("text")), None);
            changed[at] ^= 1;
        }
        let other = Key::secret(b"another");
        assert!(Token::parse(&good).expect("a form").claims(&other, NOW).is_none());
    }

    #[test]
    fn the_key_decides_the_algorithm() {
        let claims = json!({ "sub": "a", "exp": NOW.seconds() + 10 });
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        for alg in ["none", "None", "HS512", "RS256", "ES256", ""] {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
            for tag in [String::new(), URL_SAFE_NO_PAD.encode([0; 64])] {
                assert_eq!(read(&format!("{header}.{payload}.{tag}")), None, "{alg}");
            }
        }
        // A public key that is used as a shared secret.
        let point = [vec![4], vec![7; 64]].concat();
        let forged = sign(&claims, &hmac::Key::new(hmac::HMAC_SHA256, &point));
        assert!(Token::parse(&forged).expect("a form").claims(&Key::P256(point), NOW).is_none());
        for none in ["", "a.b", "eyJ.eyJ", "....", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(read(none), None);
        }
    }

    #[test]
    fn audiences_are_one_or_several() {
        assert!(is_for(&json!({ "aud": "a" }), "a") && is_for(&json!({ "aud": ["b", "a"] }), "a"));
        assert!(!is_for(&json!({ "aud": "ab" }), "a") && !is_for(&json!({}), "a"));
    }
}
