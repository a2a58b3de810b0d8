//! What happens around a number apart from its messages: people come, type and call, groups change.
//!
//! All of it is news of the moment. A session that is far behind may lose some of it, never messages.

use crate::clock::Millis;
use crate::jid::Jid;

/// Somebody, by one or both addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The address that the stanza used.
    pub jid: Jid,
    /// The other one (phone for a LID and the reverse), when known.
    pub alt: Option<Jid>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Somebody came, went, types or stopped.
    Presence {
        /// The conversation in which it shows.
        chat: Person,
        /// Who.
        who: Person,
        /// What they do.
        state: PresenceState,
        /// When they were last there, if they show it.
        last_seen: Option<Millis>,
    },
    /// The owner named somebody in their address book.
    ContactNamed {
        /// Whom.
        who: Person,
        /// How; `None` when the name is gone.
        name: Option<String>,
    },
    /// Somebody or a group has another picture, or none any more.
    PictureChanged {
        /// Whose.
        who: Person,
    },
    /// A conversation was archived, pinned, muted or marked.
    ChatChanged {
        /// Which.
        chat: Jid,
        /// Whether the owner read it, or marked it as unread; `None` when it was something else.
        read: Option<bool>,
    },
    /// A conversation was deleted on the owner's phone.
    ChatDeleted {
        /// Which.
        chat: Jid,
    },
    /// The number is in a group that was just made.
    GroupMade {
        /// Its address.
        group: Jid,
        /// Its name.
        subject: Option<String>,
        /// Who made it.
        by: Option<Person>,
        /// Who is in it.
        people: Vec<Person>,
    },
    /// A group is called or set otherwise.
    GroupChanged {
        /// Which.
        group: Jid,
        /// Who did it.
        by: Option<Person>,
        /// What is new.
        change: GroupChange,
    },
    /// People came into a group, left it, or changed their rank.
    Participants {
        /// Which group.
        group: Jid,
        /// Who did it.
        by: Option<Person>,
        /// What.
        action: ParticipantsAction,
        /// To whom.
        people: Vec<Person>,
    },
    /// A call rings or ends.
    Call(Call),
    /// A label was made, changed or deleted.
    LabelEdited {
        /// Which.
        id: String,
        /// Its name.
        name: Option<String>,
        /// The number of its colour.
        color: Option<i32>,
        /// It is no more.
        deleted: bool,
        /// The number of a label that WhatsApp made itself.
        predefined: Option<i32>,
    },
    /// A label was put on a conversation or taken off.
    LabelAssociated {
        /// Which label.
        id: String,
        /// Which conversation.
        chat: Jid,
        /// Put on.
        added: bool,
    },
}

impl Happening {
    /// The group that is another one after this.
    #[must_use]
    pub fn group(&self) -> Option<&Jid> {
        match self {
            Self::GroupMade { group, .. }
            | Self::GroupChanged { group, .. }
            | Self::Participants { group, .. } => Some(group),
            _ => None,
        }
    }
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceState {
    /// Is there.
    Available,
    /// Is not.
    Unavailable,
    /// Types.
    Composing,
    /// Records a voice message.
    Recording,
    /// Stopped typing or recording.
    Paused,
}

impl PresenceState {
    /// The word of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Unavailable => "unavailable",
            Self::Composing => "composing",
            Self::Recording => "recording",
            Self::Paused => "paused",
        }
    }
}

/// What is new about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// Its name.
    Subject(String),
    /// Its description; `None` when it was deleted.
    Description(Option<String>),
    /// Whether only admins may change these.
    Restrict(bool),
    /// Whether only admins may write.
    Announce(bool),
    /// After how many seconds its messages disappear; 0 is never.
    Ephemeral(u32),
    /// Whether only admins let people in.
    Closed(bool),
}

/// What happens to members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParticipantsAction {
    /// They are in.
    Add,
    /// They are out.
    Remove,
    /// They are admins.
    Promote,
    /// They are no longer.
    Demote,
    /// They have another number.
    Modify,
}

impl ParticipantsAction {
    /// The word of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Modify => "modify",
        }
    }
}

/// A step in the life of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id, the same for every step.
    pub id: String,
    /// Who calls, or whose step it is.
    pub from: Person,
    /// The group that is called.
    pub group: Option<Jid>,
    /// With video.
    pub video: bool,
    /// The step.
    pub step: CallStep,
    /// When, by WhatsApp's clock.
    pub at: Millis,
    /// It was over before the session was there.
    pub offline: bool,
}

/// Steps of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStep {
    /// Somebody calls.
    Offer,
    /// It rings over there.
    Ringing,
    /// Nobody took it.
    Timeout,
    /// It was declined.
    Reject,
    /// It was taken.
    Accept,
    /// It is over.
    Terminate,
}

impl CallStep {
    /// The word of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Ringing => "ringing",
            Self::Timeout => "timeout",
            Self::Reject => "reject",
            Self::Accept => "accept",
            Self::Terminate => "terminate",
        }
    }
}
