//! An instance: one WhatsApp number that Flowcore runs for a user.
//!
//! [`InstanceName`] is what users call it, [`Status`] and [`Reason`] are what they are told about it;
//! [`state`] is the life cycle behind both, [`pairing`] the rounds of QR codes, [`settings`] what an
//! owner can switch.

pub mod pairing;
pub mod settings;
pub mod state;

use crate::clock::Millis;
use crate::id::{InstanceId, UserId};
use crate::jid::Jid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of an instance: 1–64 of letters, digits, `_`, `-`, `.`, beginning with a letter or digit.
/// Unique per server, compared without case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct InstanceName(String);

/// The rule for names, as a sentence for the person who broke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an instance name has 1 to 64 letters, digits, \"_\", \"-\" or \".\", and begins with a letter or a digit"
)]
pub struct NameError;

impl InstanceName {
    /// As the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which two names are the same.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for InstanceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=64).contains(&text.len())
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an instance is doing, in one of four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never linked.
    Created,
    /// On its way: showing a QR, linking, or dialing.
    Connecting,
    /// Linked and online.
    Connected,
    /// Not online; the reason says why.
    Disconnected,
}

impl Status {
    /// The API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }

    /// The word of the database and the dashboard.
    #[must_use]
    pub fn stored(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::Disconnected => "DISCONNECTED",
        }
    }

    /// Reads the API's or the database's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Connecting, Self::Connected, Self::Disconnected]
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
    }

    /// Evolution's word: `open`, `connecting` or `close`.
    #[must_use]
    pub fn evolution(self) -> &'static str {
        match self {
            Self::Connected => "open",
            Self::Connecting => "connecting",
            Self::Created | Self::Disconnected => "close",
        }
    }
}

/// Why an instance is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The device was unlinked, on the phone or here.
    LoggedOut,
    /// Another client took the session over.
    Replaced,
    /// WhatsApp banned the number for a time.
    TemporaryBan,
    /// WhatsApp refused the account for good (locked, unknown).
    Refused,
    /// All QR codes of a round were shown and none was scanned.
    QrExpired,
    /// WhatsApp can't be reached.
    Network,
    /// The connection stood, but nothing came and a ping was not answered.
    Stalled,
    /// The other end of the line could not prove that it is WhatsApp.
    UntrustedServer,
    /// WhatsApp no longer accepts this version of the client.
    ClientOutdated,
    /// The phone asks for a passkey, which only it can give.
    NeedsPasskey,
    /// Stopped by its user.
    Stopped,
    /// The database did not take a message; the session waits for it.
    Storage,
}

impl Reason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 12] = [
        Self::LoggedOut,
        Self::Replaced,
        Self::TemporaryBan,
        Self::Refused,
        Self::QrExpired,
        Self::Network,
        Self::Stalled,
        Self::UntrustedServer,
        Self::ClientOutdated,
        Self::NeedsPasskey,
        Self::Stopped,
        Self::Storage,
    ];

    /// The stable word of API and database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Replaced => "replaced",
            Self::TemporaryBan => "temporary_ban",
            Self::Refused => "refused",
            Self::QrExpired => "qr_expired",
            Self::Network => "network",
            Self::Stalled => "stalled",
            Self::UntrustedServer => "untrusted_server",
            Self::ClientOutdated => "client_outdated",
            Self::NeedsPasskey => "needs_passkey",
            Self::Stopped => "stopped",
            Self::Storage => "storage",
        }
    }

    /// What happened and what to do, for the owner of the number.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LoggedOut => "The device was unlinked. Connect again and scan a new QR code.",
            Self::Replaced => {
                "Another program took over this session. Stop it, then restart the instance."
            }
            Self::TemporaryBan => {
                "WhatsApp banned this number for a time. Wait until the ban ends, then restart."
            }
            Self::Refused => {
                "WhatsApp refuses this account. Open WhatsApp on the phone and read what it says."
            }
            Self::QrExpired => "No phone scanned the QR code in time. Connect again for a new one.",
            Self::Network => "WhatsApp can't be reached at the moment; trying again by itself.",
            Self::Stalled => {
                "The connection to WhatsApp stood but nothing came any more; connecting again by \
                 itself."
            }
            Self::UntrustedServer => {
                "The server that answered could not prove to be WhatsApp. Check the network for a \
                 proxy or a wrong address, then restart."
            }
            Self::ClientOutdated => {
                "WhatsApp no longer accepts this version of the client. Update Flowcore."
            }
            Self::NeedsPasskey => {
                "The phone asks for a passkey. Confirm it there, then connect again."
            }
            Self::Stopped => "The instance is stopped. Connect to start it.",
            Self::Storage => {
                "The database can't take messages at the moment; trying again by itself."
            }
        }
    }

    /// Reads the stable word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Evolution's `statusReason` number for a closed connection.
    #[must_use]
    pub fn evolution_code(self) -> u16 {
        match self {
            Self::LoggedOut => 401,
            Self::TemporaryBan => 402,
            Self::Refused => 403,
            Self::ClientOutdated => 405,
            Self::Stalled => 408,
            Self::Replaced => 440,
            Self::QrExpired | Self::Network | Self::Stopped | Self::NeedsPasskey => 428,
            Self::UntrustedServer | Self::Storage => 500,
        }
    }
}

/// Who a linked number is on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Address by phone number, with no device.
    pub jid: Jid,
    /// Address by private id.
    pub lid: Option<Jid>,
    /// The name that its contacts see.
    pub profile_name: Option<String>,
}

/// An instance as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Who owns it.
    pub user_id: UserId,
    /// What its user calls it.
    pub name: InstanceName,
    /// What it is doing.
    pub status: Status,
    /// Why it is not connected.
    pub reason: Option<Reason>,
    /// Whose number it is, once linked.
    pub identity: Option<Identity>,
    /// Whether its user wants it to run; a restart of the server starts those that should.
    pub wanted: bool,
    /// When it was last connected.
    pub last_connected: Option<Millis>,
    /// Since when it is not connected.
    pub disconnected_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// When anything of it changed last.
    pub updated_at: Millis,
    /// What its owner switched.
    pub settings: settings::Settings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "user_id_001", "9-lives.shop", &"x".repeat(64)] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "my shop", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<InstanceName>(), Err(NameError), "{bad}");
        }
        let name: InstanceName = "Shop".parse().expect("a name");
        assert_eq!(name.folded(), "shop");
    }

    #[test]
    fn words_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert!(reason.sentence().ends_with('.'));
        }
        assert_eq!(Status::parse("CONNECTED"), Some(Status::Connected));
        assert_eq!(Status::parse("connecting"), Some(Status::Connecting));
        assert_eq!(Status::parse("open"), None);
    }
}
