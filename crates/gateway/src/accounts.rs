//! Who calls: users, keys of programs, sessions of browsers and programs, tokens of others.
//!
//! Keys, tokens and cookies are looked up by their SHA-256, so how much of a wrong one is right can't be
//! told from the time it takes. What somebody may do is decided in [`caller`].

pub(crate) mod admin_key;
mod audit;
mod caller;
pub(crate) mod error;
mod foreign;
mod jws;
mod keys;
mod limits;
mod logins;
pub(crate) mod passwords;
mod throttle;
mod totp;
pub(crate) mod users;

pub use admin_key::{AdminKey, WeakKey};
pub use audit::Deed;
pub use caller::{Caller, Credential};
pub use error::{AccountError, WeakPassword};
pub use foreign::ForeignTokens;
pub use keys::KeyOrder;
pub use limits::{Allowance, Rate};
pub use logins::{Credentials, Tokens, TotpOffer};
pub use users::{Usage, UserOrder, UserPatch};

use crate::error::{ServiceError, StartError};
use crate::{Shared, fresh_id};
pub(crate) use admin_key::hash as credential_hash;
use admin_key::{MAX_CREDENTIAL, hash, random_token};
use flowcore_domain::account::Role;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_domain::network::Network;
use flowcore_domain::quota::{QuotaPatch, Quotas};
use flowcore_storage::{Store, UserChange};
use foreign::Foreign;
use limits::Limits;
use passwords::Passwords;
use std::net::IpAddr;
use std::sync::Arc;
use throttle::Throttle;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How accounts are set up.
#[derive(Debug, Clone, Default)]
pub struct AccountsConfig {
    /// The admin's key; `None` keeps the stored one, or makes one at the first start.
    pub admin_key: Option<AdminKey>,
    /// Whose tokens are taken beside ours.
    pub foreign: Option<ForeignTokens>,
    /// How much users have who come with such a token for the first time.
    pub foreign_quotas: QuotaPatch,
    /// How many requests a caller may make; `None` for as many as they like.
    pub rate: Option<Rate>,
}

/// From where somebody calls.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Their address, behind proxies that are trusted.
    pub address: Option<IpAddr>,
    /// What they call themselves.
    pub agent: Option<String>,
}

impl Client {
    fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// A browser that signed in.
#[derive(Debug)]
pub struct BrowserSession {
    /// Who.
    pub user_id: UserId,
    /// Value of the cookie.
    pub token: String,
    /// What unsafe requests have to repeat.
    pub csrf: String,
    /// When the cookie ends.
    pub expires_at: Millis,
}

/// What the first start makes: shown once, never again.
#[derive(Clone, Default)]
pub struct NewAdmin {
    /// The admin's key.
    pub key: Option<String>,
    /// The password of the user `admin`.
    pub password: Option<String>,
}

/// Never shows them.
impl std::fmt::Debug for NewAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewAdmin(…)")
    }
}

/// Makes sure that there is an admin with a password and a key: the configured one, the stored one, or a new
/// one, which is returned to be shown once.
pub(crate) async fn ensure_admin(
    store: &Store,
    configured: Option<AdminKey>,
    now: Millis,
) -> Result<(UserId, NewAdmin), StartError> {
    let configured = configured.map(|AdminKey(key)| hash(&key));
    let admin = store.ensure_admin(fresh_id(), configured, now).await?;
    let mut made = NewAdmin::default();
    if !admin.has_key {
        let AdminKey(fresh) = AdminKey::generate();
        store.ensure_admin(fresh_id(), Some(hash(&fresh)), now).await?;
        made.key = Some(fresh);
    }
    if !admin.has_password {
        let password = random_token()[..24].to_owned();
        let passwords = Passwords::new(TaskTracker::new());
        let hashed = passwords.hash(password.clone()).await;
        let password_hash = Some(hashed.map_err(|error| StartError::Http(error.to_string()))?);
        let change = UserChange { password_hash, ..UserChange::default() };
        store.update_user(admin.user_id, change).await?;
        made.password = Some(password);
    }
    Ok((admin.user_id, made))
}

/// Users and who calls.
#[derive(Debug, Clone)]
pub struct Accounts {
    shared: Arc<Shared>,
    admin: UserId,
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    passwords: Passwords,
    throttle: Throttle,
    signing: ring::hmac::Key,
    foreign: Option<Foreign>,
    foreign_quotas: Quotas,
    limits: Option<Limits>,
    /// Counts what was done that is noted.
    changes: watch::Sender<u64>,
}

impl Accounts {
    pub(crate) fn new(
        shared: Arc<Shared>,
        admin: UserId,
        config: AccountsConfig,
    ) -> Result<Self, StartError> {
        let foreign = config.foreign.map(Foreign::new).transpose();
        let signing = shared.store.derived_key("access tokens");
        let parts = Parts {
            passwords: Passwords::new(shared.lifecycle.tracker().clone()),
            throttle: Throttle::default(),
            signing: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &signing),
            foreign: foreign.map_err(|error| StartError::Http(error.to_string()))?,
            foreign_quotas: Quotas::default().patched(&config.foreign_quotas),
            limits: config.rate.map(Limits::new),
            changes: watch::Sender::new(0),
        };
        Ok(Self { shared, admin, parts: Arc::new(parts) })
    }

    /// Wakes who holds on to a credential after each change that goes to the audit log: it may be about
    /// theirs.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.parts.changes.subscribe()
    }

    /// Who comes with this credential as Bearer: a key, or a token of ours or of others.
    ///
    /// # Errors
    /// As [`Accounts::by_key`].
    pub async fn by_bearer(
        &self,
        credential: &str,
        client: &Client,
    ) -> Result<Option<Caller>, ServiceError> {
        if jws::looks_like_one(credential) {
            self.by_token(credential).await
        } else {
            self.by_key(credential, client).await
        }
    }

    /// Who has this key; `None` for nobody.
    ///
    /// # Errors
    /// [`AccountError::AddressNotAllowed`], or when the store can't be asked.
    pub async fn by_key(
        &self,
        text: &str,
        client: &Client,
    ) -> Result<Option<Caller>, ServiceError> {
        if text.is_empty() || text.len() > MAX_CREDENTIAL {
            return Ok(None);
        }
        let (hash, now) = (hash(text), self.shared.now());
        let Some((key, role)) = self.shared.store.api_key(hash, now).await? else {
            return self.by_instance_token(hash).await;
        };
        if !comes_from_allowed(&key.addresses, client) {
            return Err(AccountError::AddressNotAllowed.into());
        }
        // Not worth a refusal when the disk is full.
        if let Err(error) = self.shared.store.touch_key(&key, now).await {
            tracing::debug!(%error, "the use of a key was not noted");
        }
        let caller = Caller::new(key.user_id, role, Credential::Key(key.id));
        let caller = caller.limited_to(key.scopes);
        Ok(Some(match &key.instances {
            Some(only) => caller.limited_to_instances(only),
            None => caller,
        }))
    }

    async fn by_instance_token(&self, hash: [u8; 32]) -> Result<Option<Caller>, ServiceError> {
        let store = &self.shared.store;
        let Some(instance) = store.instance_by_token(hash).await? else { return Ok(None) };
        let owner = store.user(instance.user_id).await?.filter(|owner| !owner.disabled);
        Ok(owner.map(|owner| {
            Caller::new(owner.id, owner.role, Credential::Instance(instance.id))
                .limited_to(Role::Member.scopes())
                .limited_to_instances(&[instance.id])
        }))
    }

    /// Who comes with this signed token.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn by_token(&self, text: &str) -> Result<Option<Caller>, ServiceError> {
        let Some(token) = jws::Token::parse(text) else { return Ok(None) };
        let now = self.shared.now();
        let own = jws::Key::Secret(self.parts.signing.clone());
        if let Some(claims) = token.claims(&own, now) {
            if claims["iss"] != logins::ISSUER || !jws::is_for(&claims, logins::ISSUER) {
                return Ok(None);
            }
            let session = claims["sid"].as_str().and_then(|id| id.parse().ok());
            let Some(session) = session else { return Ok(None) };
            let found = self.shared.store.login_by_id(session, now).await?;
            return Ok(
                found.map(|(user, role)| Caller::new(user, role, Credential::Session(session)))
            );
        }
        let Some(foreign) = &self.parts.foreign else { return Ok(None) };
        let Some(subject) = foreign.subject(&token, now).await else { return Ok(None) };
        // On the project's own database its id is the profile's.
        let id = subject.id.parse().unwrap_or_else(|_| fresh_id());
        let who = (subject.id, subject.email);
        let quotas = &self.parts.foreign_quotas;
        let user = self.shared.store.foreign_user(who, id, quotas, now).await?;
        let caller = Caller::new(user.id, user.role, Credential::Foreign(user.id));
        Ok((!user.disabled).then_some(caller))
    }

    /// Whose cookie this is, and the word that unsafe requests have to repeat.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn by_cookie(&self, token: &str) -> Result<Option<(Caller, String)>, ServiceError> {
        if token.is_empty() || token.len() > MAX_CREDENTIAL {
            return Ok(None);
        }
        let found = self.shared.store.login_session(hash(token), self.shared.now()).await?;
        Ok(found.map(|(session, role)| {
            (Caller::new(session.user_id, role, Credential::Session(session.id)), session.csrf)
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

    /// Counts a request of a caller, or of a stranger; `None` when nothing is counted.
    #[must_use]
    pub fn allowance(&self, caller: Option<&Caller>, client: &Client) -> Option<Allowance> {
        let limits = self.parts.limits.as_ref()?;
        Some(match caller {
            Some(caller) => limits.of_caller(caller.credential),
            None => limits.of_stranger(client),
        })
    }

    /// The admin's own identity, for what the server does by itself.
    #[must_use]
    pub fn admin(&self) -> Caller {
        Caller::new(self.admin, Role::Admin, Credential::Server)
    }
}

/// Whether a client is in one of these networks; in all of them when there is none.
fn comes_from_allowed(networks: &[String], client: &Client) -> bool {
    let mut parsed = networks.iter().filter_map(|network| network.parse::<Network>().ok());
    networks.is_empty()
        || client.address.is_some_and(|from| parsed.any(|network| network.covers(from)))
}
