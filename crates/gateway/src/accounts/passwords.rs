//! Passwords: argon2id, a few at a time so that a crowd at the door can't take the machine.

use super::error::{AccountError, WeakPassword};
use crate::error::ServiceError;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// KiB that a check takes. Of the settings that OWASP's page on storing passwords calls equal, this takes the least
/// memory and the most passes: what a check took stays with the allocator.
const MEMORY: u32 = 7 * 1024;
const PASSES: u32 = 5;
/// Each check takes a core for some hundredths of a second.
const AT_ONCE: usize = 2;
/// Who waits longer is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST: usize = 8;
const LONGEST: usize = 256;
/// What is tried first, everywhere.
const KNOWN: [&str; 16] = [
    "password",
    "passw0rd",
    "password1",
    "password123",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyui",
    "qwerty123",
    "qwertyuiop",
    "iloveyou",
    "admin123",
    "letmein1",
    "changeme",
    "change-me",
    "flowcore123",
];

/// Says what is wrong with a password that is to be set.
pub(crate) fn check(password: &str, username: &str) -> Result<(), WeakPassword> {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(WeakPassword::Length);
    }
    let folded = password.to_lowercase();
    let mut characters: Vec<char> = folded.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let known = KNOWN.contains(&folded.as_str()) || folded == username.to_lowercase();
    if known || characters.len() < 3 { Err(WeakPassword::Known) } else { Ok(()) }
}

/// Hashes and checks.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Passwords {
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), tasks }
    }

    /// What is stored of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ServiceError> {
        let hashed = self.run(move || hash(&password)).await?;
        hashed.map_err(|()| ServiceError::Internal("a password could not be hashed".to_owned()))
    }

    /// Whether it is the password behind a hash. Without a hash it takes as long and is wrong.
    pub(crate) async fn is_right(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, ServiceError> {
        self.run(move || {
            let there = stored.is_some();
            // Made for whoever comes first, known or not.
            let nobodys = nobodys();
            let stored = stored.unwrap_or_else(|| nobodys.to_owned());
            let parsed = PasswordHash::new(&stored);
            let right = parsed.is_ok_and(|hash| {
                password.chars().count() <= LONGEST
                    && argon2().verify_password(password.as_bytes(), &hash).is_ok()
            });
            there && right
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(AccountError::Throttled { wait: PATIENCE }.into());
        };
        let done = self.tasks.spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|error| ServiceError::Internal(error.to_string()))
    }
}

fn hash(password: &str) -> Result<String, ()> {
    let hashed = argon2().hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(drop)
}

/// A hash says itself how it was made, and is checked so.
fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, 1, None).expect("within the algorithm's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// A hash that no password is tried against but for the time it takes.
fn nobodys() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash("nobody's").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_tried_first_are_refused() {
        assert_eq!(check("short", "anna"), Err(WeakPassword::Length));
        assert_eq!(check(&"x".repeat(300), "anna"), Err(WeakPassword::Length));
        for known in ["Password123", "aaaaaaaaaa", "abababababab", "AnnaKarenina"] {
            assert_eq!(check(known, "annakarenina"), Err(WeakPassword::Known), "{known}");
        }
        assert_eq!(check("correct horse battery", "anna"), Ok(()));
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_and_no_other() {
        let passwords = Passwords::new(TaskTracker::new());
        let stored = passwords.hash("correct horse".to_owned()).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{stored}");
        assert!(!stored.contains("horse"));
        let right = async |password: &str, stored: Option<String>| {
            passwords.is_right(password.to_owned(), stored).await.expect("checked")
        };
        assert!(right("correct horse", Some(stored.clone())).await);
        assert!(!right("wrong horse", Some(stored)).await);
        assert!(!right("nobody's", None).await);
        assert!(!right("x", Some("no hash".to_owned())).await);
        let earlier = Argon2::default().hash_password(b"correct horse").expect("hashed");
        assert!(right("correct horse", Some(earlier.to_string())).await, "made with other costs");
    }

    #[tokio::test]
    async fn a_password_of_nobody_is_as_much_work_as_one_of_somebody() {
        let work = |hash: &str| {
            // Algorithm, version and costs; salt and hash follow.
            hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>()
        };
        let passwords = Passwords::new(TaskTracker::new());
        let stored = passwords.hash("correct horse battery".to_owned()).await.expect("hashed");
        assert_eq!(work(nobodys()), work(&stored));
        assert_eq!(work(&stored)[1], "argon2id");
        assert!(!passwords.is_right("nobody's".to_owned(), None).await.expect("checked"));
    }
}
