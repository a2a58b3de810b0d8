//! Tokens of a Supabase project: who signed in there is known here, as a member with an account of their
//! own, made at first sight.

use super::jws::{self, Key, Token};
use crate::clients::{self, AllowPrivate};
use flowcore_domain::clock::Millis;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the project's keys are taken as they were read.
const KEYS_FRESH: Duration = Duration::from_secs(600);
/// A token of an unknown key makes us look again, but not more often.
const KEYS_AGAIN: Duration = Duration::from_secs(30);
/// The most that a key set has.
const MAX_KEY_SET: usize = 64 << 10;
/// Most keys that are read from it.
const MAX_KEYS: usize = 32;

/// Whose tokens are taken.
#[derive(Clone, Default)]
pub struct ForeignTokens {
    /// The project's shared secret (HS256).
    pub secret: Option<String>,
    /// Where its public keys are (ES256, RS256).
    pub jwks_url: Option<String>,
    /// Who must have issued them; anybody with the key when not given.
    pub issuer: Option<String>,
    /// Whom they must be meant for.
    pub audience: String,
}

/// Never shows the secret.
impl std::fmt::Debug for ForeignTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignTokens").field("jwks_url", &self.jwks_url).finish_non_exhaustive()
    }
}

/// Who a foreign token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) id: String,
    pub(crate) email: Option<String>,
}

/// The project's keys by their ids.
type KeySet = Vec<(Option<String>, Key)>;

#[derive(Default)]
struct Known {
    /// When they were last asked for, with or without success.
    asked_at: Option<Millis>,
    keys: Arc<KeySet>,
}

/// Checks them.
pub(crate) struct Foreign {
    tokens: ForeignTokens,
    secret: Option<Key>,
    http: reqwest::Client,
    known: Mutex<Known>,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

impl Foreign {
    /// The key set's address is the operator's own choice: it may be a private one.
    pub(crate) fn new(tokens: ForeignTokens) -> Result<Self, reqwest::Error> {
        let url = tokens.jwks_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        let allow = AllowPrivate::parse(host).unwrap_or_default();
        let http = clients::guarded(&allow)?;
        let secret = tokens.secret.as_ref().map(|secret| Key::secret(secret.as_bytes()));
        Ok(Self { tokens, secret, http, known: Mutex::default() })
    }

    /// Who a token names, when it is good.
    pub(crate) async fn subject(&self, token: &Token<'_>, now: Millis) -> Option<Subject> {
        let claims = if token.is_symmetric() {
            token.claims(self.secret.as_ref()?, now)?
        } else {
            self.with_public_key(token, now).await?
        };
        let issuer = self.tokens.issuer.as_deref();
        if issuer.is_some_and(|issuer| claims["iss"] != issuer)
            || !jws::is_for(&claims, &self.tokens.audience)
        {
            return None;
        }
        let id = claims["sub"].as_str().filter(|sub| (1..=255).contains(&sub.len()))?;
        let email = claims["email"].as_str().filter(|email| email.len() <= 320);
        Some(Subject { id: id.to_owned(), email: email.map(str::to_owned) })
    }

    async fn with_public_key(&self, token: &Token<'_>, now: Millis) -> Option<Value> {
        let id = token.key_id();
        let claims = |keys: &KeySet| {
            let mut fitting = keys.iter().filter(|(known, _)| known.as_deref() == id);
            fitting.find_map(|(_, key)| token.claims(key, now))
        };
        let keys = self.keys(KEYS_FRESH, now).await?;
        let known = keys.iter().any(|(known, _)| known.as_deref() == id);
        if known {
            return claims(&keys);
        }
        claims(&*self.keys(KEYS_AGAIN, now).await?)
    }

    /// The project's keys, asked for again when that was longer ago. Those that are known stay good while
    /// new ones can't be read.
    async fn keys(&self, oldest: Duration, now: Millis) -> Option<Arc<KeySet>> {
        let url = self.tokens.jwks_url.as_ref()?;
        let mut known = self.known.lock().await;
        if known.asked_at.is_none_or(|asked| asked.plus(oldest) <= now) {
            known.asked_at = Some(now);
            if let Some(keys) = self.read(url).await {
                known.keys = Arc::new(keys);
            } else {
                tracing::warn!("the keys for foreign tokens can't be read");
            }
        }
        Some(Arc::clone(&known.keys))
    }

    async fn read(&self, url: &str) -> Option<KeySet> {
        let answer = self.http.get(url).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let body = clients::beginning(answer, MAX_KEY_SET).await;
        let set: Value = serde_json::from_slice(&body).ok()?;
        let keys =
            set["keys"].as_array()?.iter().take(MAX_KEYS).filter_map(|jwk| {
                Some((jwk["kid"].as_str().map(str::to_owned), Key::from_jwk(jwk)?))
            });
        Some(keys.collect())
    }
}
