//! Who calls: keys of programs, sessions of browsers.
//!
//! One admin and one key for now. Keys and cookies are looked up by their SHA-256, so how much of a
//! wrong one is right can't be told from the time it takes.

mod caller;

use crate::error::{ServiceError, StartError};
use crate::{Shared, fresh_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use caller::{Caller, Credential};
use flowcore_domain::account::{Role, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_storage::{Admin, LoginSession, Store};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How long a browser stays signed in.
const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Fewest characters of a key that is given by configuration.
const MIN_KEY_LENGTH: usize = 32;
/// Longest credential that is looked at; longer ones are wrong without hashing.
const MAX_CREDENTIAL: usize = 256;
/// Beginnings of keys that everybody knows from examples.
const KNOWN_KEYS: [&str; 6] = [
    "flowcore123",
    "changeme",
    "change-me",
    "secret",
    "password",
    "429683c4c977415caafcce10f7d57e11",
];

/// A browser that signed in.
#[derive(Debug)]
pub struct BrowserSession {
    /// Value of the cookie.
    pub token: String,
    /// What unsafe requests have to repeat.
    pub csrf: String,
    /// When the cookie ends.
    pub expires_at: Millis,
}

/// An admin key that is good enough to be used.
#[derive(Clone)]
pub struct AdminKey(String);

/// Why a key from the configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Too short.
    #[error("the admin key has fewer than 32 characters; make one with: openssl rand -hex 32")]
    Short,
    /// Longer than any header should be.
    #[error("the admin key has more than 256 characters")]
    Long,
    /// The same few characters again and again.
    #[error("the admin key repeats a few characters; make one with: openssl rand -hex 32")]
    Monotonous,
    /// Printed in documentation somewhere.
    #[error("the admin key is known from examples; make one with: openssl rand -hex 32")]
    Known,
}

impl AdminKey {
    /// Takes a key that can't be guessed.
    ///
    /// # Errors
    /// [`WeakKey`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WeakKey> {
        const FEWEST_DIFFERENT: usize = 8;
        if KNOWN_KEYS.iter().any(|known| text.to_ascii_lowercase().starts_with(known)) {
            return Err(WeakKey::Known);
        }
        if text.chars().count() < MIN_KEY_LENGTH {
            return Err(WeakKey::Short);
        }
        if text.len() > MAX_CREDENTIAL {
            return Err(WeakKey::Long);
        }
        let mut different: Vec<char> = text.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < FEWEST_DIFFERENT {
            return Err(WeakKey::Monotonous);
        }
        Ok(Self(text.to_owned()))
    }

    fn generate() -> Self {
        Self(format!("fc_{}", random_token()))
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(…)")
    }
}

/// 256 bits of chance as text for URLs and headers.
fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What a key or token is known by.
pub(crate) fn credential_hash(credential: &str) -> [u8; 32] {
    Sha256::digest(credential.as_bytes()).into()
}

/// Makes sure that there is an admin with a key: the configured one, the stored one, or a new one,
/// which is returned to be shown once.
pub(crate) async fn ensure_admin(
    store: &Store,
    configured: Option<AdminKey>,
    now: Millis,
) -> Result<(UserId, Option<String>), StartError> {
    if let Some(AdminKey(key)) = configured {
        let admin = store.ensure_admin(fresh_id(), Some(credential_hash(&key)), now).await?;
        return Ok((admin.user_id, None));
    }
    let AdminKey(fresh) = AdminKey::generate();
    let existing: Admin = store.ensure_admin(fresh_id(), None, now).await?;
    if existing.has_key {
        return Ok((existing.user_id, None));
    }
    store.ensure_admin(fresh_id(), Some(credential_hash(&fresh)), now).await?;
    Ok((existing.user_id, Some(fresh)))
}

/// Recognises callers.
#[derive(Debug, Clone)]
pub struct Accounts {
    shared: Arc<Shared>,
    admin: UserId,
}

impl Accounts {
    pub(crate) fn new(shared: Arc<Shared>, admin: UserId) -> Self {
        Self { shared, admin }
    }

    /// Who has this key; `None` for nobody.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn by_key(&self, key: &str) -> Result<Option<Caller>, ServiceError> {
        if key.is_empty() || key.len() > MAX_CREDENTIAL {
            return Ok(None);
        }
        let found = self.shared.store.api_key(credential_hash(key), self.shared.now()).await?;
        Ok(found.and_then(|key| {
            let role = Role::parse(&key.role)?;
            let scopes = Scopes::from_words(key.scopes.iter().map(String::as_str));
            Some(Caller::new(key.user_id, role, Credential::Key(key.id)).limited_to(scopes))
        }))
    }

    /// Signs a browser in with a key; `None` when the key is nobody's.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn sign_in(&self, key: &str) -> Result<Option<BrowserSession>, ServiceError> {
        let Some(caller) = self.by_key(key).await? else { return Ok(None) };
        let now = self.shared.now();
        let (token, csrf) = (random_token(), random_token());
        let expires_at = now.plus(SESSION_LIFETIME);
        let session = LoginSession { user_id: caller.user_id, csrf: csrf.clone(), expires_at };
        self.shared.store.create_login_session(credential_hash(&token), session, now).await?;
        Ok(Some(BrowserSession { token, csrf, expires_at }))
    }

    /// Whose cookie this is, and the word that unsafe requests have to repeat.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn by_cookie(&self, token: &str) -> Result<Option<(Caller, String)>, ServiceError> {
        if token.is_empty() || token.len() > MAX_CREDENTIAL {
            return Ok(None);
        }
        let found =
            self.shared.store.login_session(credential_hash(token), self.shared.now()).await?;
        Ok(found.map(|session| {
            (Caller::new(session.user_id, Role::Admin, Credential::Browser), session.csrf)
        }))
    }

    /// Ends a browser's session; fine when there is none.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn sign_out(&self, token: &str) -> Result<(), ServiceError> {
        self.shared.store.delete_login_session(credential_hash(token)).await?;
        Ok(())
    }

    /// The admin's own identity, for what the server does by itself.
    #[must_use]
    pub fn admin(&self) -> Caller {
        Caller::new(self.admin, Role::Admin, Credential::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused_with_the_reason() {
        let error = |key: &str| AdminKey::parse(key).err();
        assert_eq!(error("short"), Some(WeakKey::Short));
        assert_eq!(error("flowcore123"), Some(WeakKey::Known));
        assert_eq!(error("flowcore123flowcore123flowcore123"), Some(WeakKey::Known));
        assert_eq!(error(&"a".repeat(64)), Some(WeakKey::Monotonous));
        assert_eq!(error(&"x".repeat(300)), Some(WeakKey::Long));
        let AdminKey(fresh) = AdminKey::generate();
        assert!(AdminKey::parse(&fresh).is_ok());
    }
}
