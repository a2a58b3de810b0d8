//! The port for people: others, and the owner of the number.

use super::EngineError;
use crate::jid::Jid;
use async_trait::async_trait;
use bytes::Bytes;

/// Someone who is on WhatsApp.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The phone number that was asked for.
    pub phone: String,
    /// Their address.
    pub jid: Jid,
    /// Their private id, when WhatsApp told.
    pub lid: Option<Jid>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account(…)")
    }
}

/// What someone shows of themselves.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// What they say of themselves.
    pub about: Option<String>,
    /// The name that WhatsApp has verified, of a business.
    pub verified_name: Option<String>,
    /// It is a business.
    pub is_business: bool,
}

/// Never shows what people say.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("is_business", &self.is_business).finish_non_exhaustive()
    }
}

/// What a business shows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusinessProfile {
    /// What it does.
    pub description: Option<String>,
    /// Its mail address.
    pub email: Option<String>,
    /// Its pages.
    pub websites: Vec<String>,
    /// Where it is.
    pub address: Option<String>,
    /// What kinds of business it is.
    pub categories: Vec<String>,
}

/// What the owner can keep from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivacyKind {
    /// That messages were read.
    ReadReceipts,
    /// The picture.
    Picture,
    /// What the owner says of themselves.
    About,
    /// Being online.
    Online,
    /// When the owner was last there.
    LastSeen,
    /// Being put into groups.
    GroupAdd,
}

impl PrivacyKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ReadReceipts,
        Self::Picture,
        Self::About,
        Self::Online,
        Self::LastSeen,
        Self::GroupAdd,
    ];

    /// WhatsApp's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadReceipts => "readreceipts",
            Self::Picture => "profile",
            Self::About => "status",
            Self::Online => "online",
            Self::LastSeen => "last",
            Self::GroupAdd => "groupadd",
        }
    }
}

/// From whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivacyValue {
    /// Everybody may.
    All,
    /// Contacts may.
    Contacts,
    /// Contacts may, but for some.
    ContactBlacklist,
    /// Nobody may.
    Nobody,
    /// The same as for when the owner was last there.
    MatchLastSeen,
}

impl PrivacyValue {
    const ALL: [Self; 5] =
        [Self::All, Self::Contacts, Self::ContactBlacklist, Self::Nobody, Self::MatchLastSeen];

    /// WhatsApp's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Contacts => "contacts",
            Self::ContactBlacklist => "contact_blacklist",
            Self::Nobody => "none",
            Self::MatchLastSeen => "match_last_seen",
        }
    }

    /// Reads WhatsApp's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == word)
    }

    /// Whether the owner may choose it for that.
    #[must_use]
    pub fn fits(self, kind: PrivacyKind) -> bool {
        match kind {
            PrivacyKind::ReadReceipts => matches!(self, Self::All | Self::Nobody),
            PrivacyKind::Online => matches!(self, Self::All | Self::MatchLastSeen),
            _ => self != Self::MatchLastSeen,
        }
    }
}

/// Asks about people and changes what the owner shows.
#[async_trait]
pub trait People: Send + Sync {
    /// Which of these phone numbers (digits) are on WhatsApp, and as whom.
    async fn look_up(&self, phones: &[String]) -> Result<Vec<Account>, EngineError>;

    /// Where the picture of a person or group is; `None` when there is none to be seen.
    async fn picture_of(&self, jid: &Jid) -> Result<Option<String>, EngineError>;

    /// What someone shows of themselves.
    async fn profile_of(&self, jid: &Jid) -> Result<Profile, EngineError>;

    /// What a business shows of itself; `None` when they are none.
    async fn business_profile_of(&self, jid: &Jid) -> Result<Option<BusinessProfile>, EngineError>;

    /// Changes the owner's name.
    async fn set_name(&self, name: &str) -> Result<(), EngineError>;

    /// Changes what the owner says of themselves.
    async fn set_about(&self, text: &str) -> Result<(), EngineError>;

    /// Changes the owner's picture (JPEG); `None` takes it away.
    async fn set_picture(&self, jpeg: Option<Bytes>) -> Result<(), EngineError>;

    /// What the owner keeps from whom. A value that we have no word for is left out.
    async fn privacy(&self) -> Result<Vec<(PrivacyKind, PrivacyValue)>, EngineError>;

    /// Changes one of them.
    async fn set_privacy(&self, kind: PrivacyKind, value: PrivacyValue) -> Result<(), EngineError>;

    /// Blocks someone, or lets them write again.
    async fn block(&self, jid: &Jid, blocked: bool) -> Result<(), EngineError>;

    /// Who is blocked.
    async fn blocked(&self) -> Result<Vec<Jid>, EngineError>;
}
