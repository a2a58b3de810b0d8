//! Who may do what: roles of users, scopes of keys.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a user is on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything, with everybody's instances.
    Admin,
    /// May do everything with their own instances.
    Member,
    /// May look at their own instances.
    Viewer,
}

impl Role {
    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Admin, Self::Member, Self::Viewer].into_iter().find(|role| role.as_str() == word)
    }

    /// The most that a credential of such a user may do.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Admin => Scopes::ALL,
            Self::Member => Scopes::ALL.without(Scope::Admin),
            Self::Viewer => Scopes::of(&[Scope::Read]),
        }
    }
}

/// One thing that a key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To look.
    Read,
    /// To send messages, and what else is seen by others on WhatsApp.
    Send,
    /// To make, link, restart and log out instances, and to make keys.
    Manage,
    /// To change settings, webhooks and the assistant.
    Settings,
    /// To delete what can't be brought back.
    Delete,
    /// Users, everybody's instances, the server itself.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Send, Self::Manage, Self::Settings, Self::Delete, Self::Admin];

    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
            Self::Settings => "settings",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self(0b11_1111);

    /// These scopes.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// The words that are stored; a word that is none of ours grants nothing, `*` is everything.
    #[must_use]
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words.into_iter().fold(Self::default(), |all, word| match Scope::parse(word) {
            Some(scope) => Self(all.0 | scope.bit()),
            None if word == "*" => Self::ALL,
            None => all,
        })
    }

    /// The words of the API and the database.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        self.iter().map(Scope::as_str).collect()
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Without this one.
    #[must_use]
    pub fn without(self, scope: Scope) -> Self {
        Self(self.0 & !scope.bit())
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.words()).finish()
    }
}

/// What a user is called at sign-in: 1 to 64 letters, digits, `.`, `_`, `-`, `@` or `+`, the first a letter
/// or digit. Unique per server, compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// A text that is no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name has 1 to 64 letters, digits, \".\", \"_\", \"-\", \"@\" or \"+\", and begins with a \
     letter or a digit"
)]
pub struct UsernameError;

impl Username {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For comparing.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-@+".contains(&b);
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(UsernameError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_grants_no_more_than_it_should() {
        assert!(Role::Admin.scopes().has(Scope::Admin));
        assert!(
            !Role::Member.scopes().has(Scope::Admin) && Role::Member.scopes().has(Scope::Delete)
        );
        assert_eq!(Role::Viewer.scopes().words(), ["read"]);
    }

    #[test]
    fn stored_words_are_read_back_and_unknown_ones_grant_nothing() {
        for scope in Scope::ALL {
            assert_eq!(Scopes::from_words([scope.as_str()]), Scopes::of(&[scope]));
        }
        assert_eq!(Scopes::from_words(["root", ""]), Scopes::default());
        assert_eq!(Scopes::from_words(["*"]), Scopes::ALL);
        assert!(Scopes::ALL.covers(Role::Member.scopes()));
        assert!(!Role::Viewer.scopes().covers(Role::Member.scopes()));
    }

    #[test]
    fn user_names_follow_the_rule() {
        for good in ["a", "anna.b", "anna+x@example.com", "7up", &"x".repeat(64)] {
            assert!(good.parse::<Username>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "a b", "ä", "a/b", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<Username>().is_err(), "{bad}");
        }
    }
}
