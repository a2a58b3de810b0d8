//! What can be wrong with users, keys and sign-ins.

use flowcore_domain::account::UsernameError;
use flowcore_domain::network::NetworkError;
use std::time::Duration;

/// Why something about accounts was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// No user of that id.
    #[error("there is no such user")]
    UserNotFound,
    /// No key of that id that the caller may see.
    #[error("there is no such key")]
    KeyNotFound,
    /// No sign-in of that id.
    #[error("there is no such session")]
    SessionNotFound,
    /// Somebody is called so.
    #[error("a user of this name exists")]
    UsernameTaken,
    /// There would be no administrator.
    #[error("the last administrator can't be taken away")]
    LastAdmin,
    /// Not a user's name.
    #[error(transparent)]
    InvalidUsername(#[from] UsernameError),
    /// A password that is guessed at once.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// The key would be good for more than the one that asks for it.
    #[error("a key can't make a wider one")]
    WiderKey,
    /// Not an address or network.
    #[error(transparent)]
    InvalidAddress(#[from] NetworkError),
    /// The key ends before it begins.
    #[error("the key's end is in the past")]
    ExpiryInThePast,
    /// A key is called something short.
    #[error("a key's name has 1 to 100 characters")]
    InvalidKeyName,
    /// Name, password or code is wrong; which one is not told.
    #[error("the name, the password or the code is wrong")]
    InvalidCredentials,
    /// The password is right and a code is needed too.
    #[error("a code of the second factor is needed")]
    TotpRequired,
    /// The second factor is set up already, or not at all.
    #[error("the second factor is not in the state for this")]
    TotpState,
    /// Too many wrong tries.
    #[error("too many tries")]
    Throttled {
        /// How long to wait.
        wait: Duration,
    },
    /// The refresh token is unknown, over, or was used before.
    #[error("the refresh token is not good")]
    RefreshRefused,
    /// This key may not come from there.
    #[error("this key may not be used from this address")]
    AddressNotAllowed,
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short or endless.
    #[error("a password has 8 to 256 characters")]
    Length,
    /// On everybody's list, or the user's own name.
    #[error("this password is among the first that are tried; choose another one")]
    Known,
}
