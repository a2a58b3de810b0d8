//! Signing in: browsers get a cookie, programs a short token and one to renew it with.
//!
//! Whatever is wrong with a sign-in, the answer and the time it takes are the same: nobody learns who has an
//! account here.

use super::admin_key::{MAX_CREDENTIAL, hash, random_token};
use super::error::AccountError;
use super::{Accounts, BrowserSession, Caller, Client, Credential, Deed, jws, totp};
use crate::error::ServiceError;
use crate::fresh_id;
use flowcore_domain::account::Username;
use flowcore_domain::id::{SessionId, UserId};
use flowcore_storage::{LoginSession, Refresh, User};
use serde_json::json;
use std::time::Duration;

/// How long a browser stays signed in.
const BROWSER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a program's sign-in lasts without being renewed.
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a token is good.
const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Who issues our tokens, and whom they are for.
pub(super) const ISSUER: &str = "flowcore";
/// Longest note of a client's name.
const MAX_AGENT: usize = 200;

/// What somebody signs in with.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Their name.
    pub username: String,
    /// Their password.
    pub password: String,
    /// The code of their second factor.
    pub totp: Option<String>,
}

/// Never shows them.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a program that signed in gets.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Whose they are.
    pub user_id: UserId,
    /// For the next minutes.
    pub access: String,
    /// How long that is good.
    pub expires_in: Duration,
    /// Good once, for new ones.
    pub refresh: String,
}

impl Accounts {
    /// Signs a program in.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`], [`AccountError::TotpRequired`], [`AccountError::Throttled`].
    pub async fn log_in(
        &self,
        credentials: Credentials,
        client: &Client,
    ) -> Result<Tokens, ServiceError> {
        let user = self.check(credentials, client).await?;
        let (family, secret) = (random_token(), random_token());
        let session = self.session(user.id, client, String::new(), REFRESH_LIFETIME);
        let id = session.id;
        self.open((hash(&family), Some(hash(&secret))), session, (&user, client)).await?;
        Ok(self.tokens(user.id, id, &family, &secret))
    }

    /// New tokens for a refresh token, which is good once. When it comes a second time, the whole sign-in is
    /// ended: one of the two who have it is a thief.
    ///
    /// # Errors
    /// [`AccountError::RefreshRefused`].
    pub async fn refresh(&self, token: &str) -> Result<Tokens, ServiceError> {
        let parts = token.split_once('.').filter(|_| token.len() <= MAX_CREDENTIAL);
        let (family, shown) = parts.ok_or(AccountError::RefreshRefused)?;
        let next = random_token();
        let now = self.shared.now();
        let times = (now, now.plus(REFRESH_LIFETIME));
        let turn = (hash(shown), hash(&next));
        match self.shared.store.rotate_refresh(hash(family), turn, times).await? {
            Refresh::Rotated(session, _) => {
                Ok(self.tokens(session.user_id, session.id, family, &next))
            }
            Refresh::Reused(user) => {
                tracing::warn!(%user, "a refresh token came twice; its sign-in is ended");
                Err(AccountError::RefreshRefused.into())
            }
            Refresh::Unknown => Err(AccountError::RefreshRefused.into()),
        }
    }

    fn tokens(&self, user_id: UserId, id: SessionId, family: &str, secret: &str) -> Tokens {
        let now = self.shared.now();
        let claims = json!({
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": user_id,
            "sid": id,
            "iat": now.seconds(),
            "exp": now.plus(ACCESS_LIFETIME).seconds(),
        });
        Tokens {
            user_id,
            access: jws::sign(&claims, &self.parts.signing),
            expires_in: ACCESS_LIFETIME,
            refresh: format!("{family}.{secret}"),
        }
    }

    /// Signs a browser in.
    ///
    /// # Errors
    /// As [`Accounts::log_in`].
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        client: &Client,
    ) -> Result<BrowserSession, ServiceError> {
        let user = self.check(credentials, client).await?;
        self.open_browser(&user, client).await
    }

    /// Signs a browser in with a key that is good for everything its user may; `None` for others.
    ///
    /// # Errors
    /// When the store can't be asked, or there were too many wrong keys from there.
    pub async fn sign_in_with_key(
        &self,
        key: &str,
        client: &Client,
    ) -> Result<Option<BrowserSession>, ServiceError> {
        let address = client.address_text();
        self.parts.throttle.begin(&address, "(key)", self.shared.now()).map_err(throttled)?;
        let Some(caller) = self.by_key(key, client).await? else { return Ok(None) };
        self.parts.throttle.was_right(&address, "(key)");
        // A browser's session has the user's whole role: a narrower key must not widen itself so.
        if caller.scopes != caller.role.scopes() || caller.only.is_some() {
            return Ok(None);
        }
        let user = self.user(caller.user_id).await?;
        self.open_browser(&user, client).await.map(Some)
    }

    async fn open_browser(
        &self,
        user: &User,
        client: &Client,
    ) -> Result<BrowserSession, ServiceError> {
        let (token, csrf) = (random_token(), random_token());
        let session = self.session(user.id, client, csrf.clone(), BROWSER_LIFETIME);
        let expires_at = session.expires_at;
        self.open((hash(&token), None), session, (user, client)).await?;
        Ok(BrowserSession { user_id: user.id, token, csrf, expires_at })
    }

    /// Stores a sign-in, and that it was made.
    async fn open(
        &self,
        (token, refresh): ([u8; 32], Option<[u8; 32]>),
        session: LoginSession,
        (user, client): (&User, &Client),
    ) -> Result<(), ServiceError> {
        let caller = Caller::new(user.id, user.role, Credential::Server);
        let data = json!({ "username": user.username });
        let deed = Deed { action: "login".to_owned(), target: None, data };
        let deed = self.begin(Some(&caller), client, deed);
        let creating = self.shared.store.create_login_session(token, refresh, session);
        Ok(deed.during(creating).await?)
    }

    fn session(
        &self,
        user_id: UserId,
        client: &Client,
        csrf: String,
        lifetime: Duration,
    ) -> LoginSession {
        let now = self.shared.now();
        LoginSession {
            id: fresh_id(),
            user_id,
            program: csrf.is_empty(),
            csrf,
            address: client.address.map(|address| address.to_string()),
            agent: client.agent.as_ref().map(|agent| agent.chars().take(MAX_AGENT).collect()),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(lifetime),
        }
    }

    /// The user with this name and password, and code where they have a second factor.
    async fn check(&self, credentials: Credentials, client: &Client) -> Result<User, ServiceError> {
        let Credentials { username, password, totp } = credentials;
        let (address, now) = (client.address_text(), self.shared.now());
        self.parts.throttle.begin(&address, &username, now).map_err(throttled)?;
        let found = match username.parse::<Username>() {
            Ok(name) => self.shared.store.secrets_by_name(&name).await?,
            Err(_) => None,
        };
        let stored = found.as_ref().and_then(|secrets| secrets.password_hash.clone());
        let right = self.parts.passwords.is_right(password, stored).await?;
        let secrets = found.filter(|secrets| right && !secrets.user.disabled);
        let secrets = secrets.ok_or(AccountError::InvalidCredentials)?;
        if let Some(secret) = &secrets.totp {
            let code = totp.filter(|code| !code.is_empty()).ok_or(AccountError::TotpRequired)?;
            let step = totp::step_of(secret, &code, now);
            let step = step.ok_or(AccountError::InvalidCredentials)?;
            if !self.shared.store.take_totp_step(secrets.user.id, step).await? {
                return Err(AccountError::InvalidCredentials.into());
            }
        }
        self.parts.throttle.was_right(&address, &username);
        Ok(secrets.user)
    }

    /// The caller's sign-ins, newest first.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<LoginSession>, ServiceError> {
        Ok(self.shared.store.login_sessions(caller.user_id, self.shared.now()).await?)
    }

    /// Ends one of the caller's sign-ins.
    ///
    /// # Errors
    /// [`AccountError::SessionNotFound`] also for those of others.
    pub async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<(), ServiceError> {
        let ended = self.shared.store.delete_login(caller.user_id, id).await?;
        if ended { Ok(()) } else { Err(AccountError::SessionNotFound.into()) }
    }

    /// Ends the sign-in that the caller came with; fine when there is none.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), ServiceError> {
        if let Credential::Session(id) = caller.credential {
            self.shared.store.delete_login(caller.user_id, id).await?;
        }
        Ok(())
    }

    /// Begins a second factor: its secret, for an authenticator app. It counts once a code of it was shown.
    ///
    /// # Errors
    /// [`AccountError::TotpState`] when there is one already.
    pub async fn offer_totp(&self, caller: &Caller) -> Result<TotpOffer, ServiceError> {
        let user = self.user(caller.user_id).await?;
        if user.has_totp {
            return Err(AccountError::TotpState.into());
        }
        let secret: [u8; totp::SECRET_LENGTH] = rand::random();
        let secret = totp::base32(&secret);
        let name = user.username.unwrap_or_default();
        let uri = format!("otpauth://totp/Flowcore:{name}?secret={secret}&issuer=Flowcore");
        Ok(TotpOffer { secret, uri })
    }

    /// Turns a second factor on, given its secret and a code of now.
    ///
    /// # Errors
    /// [`AccountError::TotpState`] when there is one already or the code is none of the secret's.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        secret: &str,
        code: &str,
    ) -> Result<(), ServiceError> {
        let bytes = totp::from_base32(secret).ok_or(AccountError::TotpState)?;
        let step = totp::step_of(&bytes, code, self.shared.now()).ok_or(AccountError::TotpState)?;
        if self.user(caller.user_id).await?.has_totp {
            return Err(AccountError::TotpState.into());
        }
        self.shared.store.set_totp(caller.user_id, Some(bytes)).await?;
        self.shared.store.take_totp_step(caller.user_id, step).await?;
        Ok(())
    }

    /// Turns the second factor off: by its user with a code, or by an administrator for somebody who lost it.
    ///
    /// # Errors
    /// [`AccountError::TotpState`] when the code is not one of now.
    pub async fn remove_totp(&self, user: UserId, code: Option<&str>) -> Result<(), ServiceError> {
        let secrets = self.shared.store.secrets(user).await?.ok_or(AccountError::UserNotFound)?;
        let secret = secrets.totp.ok_or(AccountError::TotpState)?;
        if let Some(code) = code {
            let step = totp::step_of(&secret, code, self.shared.now());
            let step = step.ok_or(AccountError::TotpState)?;
            if !self.shared.store.take_totp_step(user, step).await? {
                return Err(AccountError::TotpState.into());
            }
        }
        self.shared.store.set_totp(user, None).await?;
        Ok(())
    }
}

/// What an authenticator app needs.
#[derive(Clone)]
pub struct TotpOffer {
    /// The secret in base32.
    pub secret: String,
    /// The same as a link for a QR code.
    pub uri: String,
}

/// Never shows it.
impl std::fmt::Debug for TotpOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpOffer(…)")
    }
}

pub(super) fn throttled(wait: Duration) -> ServiceError {
    AccountError::Throttled { wait }.into()
}
