//! Presence, contacts, chats, groups, calls and labels in our words.

use super::address;
use flowcore_domain::clock::Millis;
use flowcore_domain::happening::{
    Call, CallStep, GroupChange, Happening, ParticipantsAction, Person, PresenceState,
};
use wacore::iq::groups::MemberAddMode;
use wacore::stanza::groups::{GroupNotificationAction as Action, GroupParticipantInfo};
use wacore::types::call::{CallAction, IncomingCall, MissedCall};
use wacore::types::events::{
    ChatPresenceUpdate, ContactUpdate, Event, GroupUpdate, LabelAssociationUpdate, LabelEditUpdate,
    PresenceUpdate,
};
use wacore::types::presence::{ChatPresence, ChatPresenceMedia};
use wacore_binary::{Jid as WireJid, Node};

/// What an event of the client tells; `None` for those that are no news of this kind. What a first sync
/// brings is no news either: the state of years, told as if it had just happened.
pub(crate) fn of(event: &Event) -> Option<Happening> {
    Some(match event {
        Event::ChatPresence(update) => typing(update),
        Event::Presence(update) => presence(update),
        Event::ContactUpdate(update) if !update.from_full_sync => contact(update),
        Event::PictureUpdate(update) => {
            Happening::PictureChanged { who: person(&update.jid, None) }
        }
        Event::ArchiveUpdate(update) if !update.from_full_sync => chat_changed(&update.jid),
        Event::PinUpdate(update) if !update.from_full_sync => chat_changed(&update.jid),
        Event::MuteUpdate(update) if !update.from_full_sync => chat_changed(&update.jid),
        Event::MarkChatAsReadUpdate(update) if !update.from_full_sync => {
            Happening::ChatChanged { chat: address(&update.jid), read: update.action.read }
        }
        Event::DeleteChatUpdate(update) if !update.from_full_sync => {
            Happening::ChatDeleted { chat: address(&update.jid) }
        }
        Event::GroupUpdate(update) => return group(update),
        Event::IncomingCall(call) => return step_of_call(call),
        Event::MissedCall(call) => missed(call),
        // Also those that were there before the link: nobody else tells which labels there are.
        Event::LabelEditUpdate(update) => label(update),
        Event::LabelAssociationUpdate(update) if !update.from_full_sync => labelled(update),
        _ => return None,
    })
}

fn person(jid: &WireJid, alt: Option<&WireJid>) -> Person {
    Person { jid: address(jid), alt: alt.map(address).filter(|alt| *alt != address(jid)) }
}

fn typing(update: &ChatPresenceUpdate) -> Happening {
    let source = &update.source;
    let who = person(&source.sender, source.sender_alt.as_ref());
    let chat = if source.is_group { person(&source.chat, None) } else { who.clone() };
    let state = match (update.state, update.media) {
        (ChatPresence::Composing, ChatPresenceMedia::Audio) => PresenceState::Recording,
        (ChatPresence::Composing, ChatPresenceMedia::Text) => PresenceState::Composing,
        (ChatPresence::Paused, _) => PresenceState::Paused,
    };
    Happening::Presence { chat, who, state, last_seen: None }
}

fn presence(update: &PresenceUpdate) -> Happening {
    let who = person(&update.from, None);
    let state =
        if update.unavailable { PresenceState::Unavailable } else { PresenceState::Available };
    let last_seen = update.last_seen.map(|at| Millis(at.timestamp_millis()));
    Happening::Presence { chat: who.clone(), who, state, last_seen }
}

fn contact(update: &ContactUpdate) -> Happening {
    let parse = |text: &Option<String>| text.as_deref().and_then(|jid| jid.parse::<WireJid>().ok());
    let alt = if update.jid.is_lid() {
        parse(&update.action.pn_jid)
    } else {
        parse(&update.action.lid_jid)
    };
    let name = update.action.full_name.clone().or_else(|| update.action.first_name.clone());
    Happening::ContactNamed { who: person(&update.jid, alt.as_ref()), name }
}

fn chat_changed(jid: &WireJid) -> Happening {
    Happening::ChatChanged { chat: address(jid), read: None }
}

fn group(update: &GroupUpdate) -> Option<Happening> {
    let group = address(&update.group_jid);
    let by = update.participant.as_ref().map(|who| person(who, update.participant_pn.as_ref()));
    let members = |action, people: &[GroupParticipantInfo]| {
        Some(Happening::Participants {
            group: group.clone(),
            by: by.clone(),
            action,
            people: people.iter().map(member).collect(),
        })
    };
    let change = match &update.action {
        Action::Add { participants, .. } => return members(ParticipantsAction::Add, participants),
        Action::Remove { participants, .. } => {
            return members(ParticipantsAction::Remove, participants);
        }
        Action::Promote { participants } => {
            return members(ParticipantsAction::Promote, participants);
        }
        Action::Demote { participants } => {
            return members(ParticipantsAction::Demote, participants);
        }
        Action::Modify { participants } => {
            return members(ParticipantsAction::Modify, participants);
        }
        Action::Create { raw } => return Some(made(group, by, raw)),
        Action::Subject { subject, .. } => GroupChange::Subject(subject.clone()),
        Action::Description { description, .. } => GroupChange::Description(description.clone()),
        Action::Locked { .. } => GroupChange::Restrict(true),
        Action::Unlocked => GroupChange::Restrict(false),
        Action::Announce => GroupChange::Announce(true),
        Action::NotAnnounce => GroupChange::Announce(false),
        Action::Ephemeral { expiration, .. } => GroupChange::Ephemeral(*expiration),
        Action::MemberAddMode { mode } => match MemberAddMode::try_from(mode.as_str()) {
            Ok(mode) => GroupChange::Closed(mode == MemberAddMode::AdminAdd),
            Err(_) => return None,
        },
        _ => return None,
    };
    Some(Happening::GroupChanged { group, by, change })
}

fn member(info: &GroupParticipantInfo) -> Person {
    person(&info.jid, info.phone_number.as_ref().or(info.lid.as_ref()))
}

/// A group that was made: its description comes along as it came.
fn made(group: flowcore_domain::jid::Jid, by: Option<Person>, raw: &Node) -> Happening {
    let described = raw.get_optional_child("group").unwrap_or(raw);
    let subject = described.attrs().optional_string("subject").map(std::borrow::Cow::into_owned);
    let people = described.get_children_by_tag("participant").filter_map(|participant| {
        let mut attrs = participant.attrs();
        let jid = attrs.optional_jid("jid")?;
        let alt = attrs.optional_jid("phone_number").or_else(|| attrs.optional_jid("lid"));
        Some(person(&jid, alt.as_ref()))
    });
    let people = people.collect();
    Happening::GroupMade { group, subject, by, people }
}

fn step_of_call(call: &IncomingCall) -> Option<Happening> {
    let (mut video, mut group, mut phone) = (false, None, None);
    let step = match &call.action {
        CallAction::Offer { is_video, group_jid, caller_pn, .. } => {
            (video, group, phone) =
                (*is_video, group_jid.as_ref().map(address), caller_pn.as_ref());
            CallStep::Offer
        }
        CallAction::OfferNotice { is_video, .. } => {
            video = *is_video;
            CallStep::Offer
        }
        CallAction::PreAccept { .. } => CallStep::Ringing,
        CallAction::Accept { .. } => CallStep::Accept,
        CallAction::Reject { .. } => CallStep::Reject,
        CallAction::Terminate { reason, .. } if reason.as_deref() == Some("timeout") => {
            CallStep::Timeout
        }
        CallAction::Terminate { .. } => CallStep::Terminate,
        _ => return None,
    };
    Some(Happening::Call(Call {
        id: call.action.call_id().to_owned(),
        from: person(&call.from, phone),
        group,
        video,
        step,
        at: Millis(call.timestamp.timestamp_millis()),
        offline: call.offline,
    }))
}

fn missed(call: &MissedCall) -> Happening {
    Happening::Call(Call {
        id: call.call_id.clone(),
        from: person(&call.from, None),
        group: None,
        video: false,
        step: CallStep::Timeout,
        at: Millis(call.timestamp.timestamp_millis()),
        offline: true,
    })
}

fn label(update: &LabelEditUpdate) -> Happening {
    let action = &update.action;
    Happening::LabelEdited {
        id: update.label_id.clone(),
        name: action.name.clone(),
        color: action.color,
        deleted: action.deleted.unwrap_or(false),
        predefined: action.predefined_id,
    }
}

fn labelled(update: &LabelAssociationUpdate) -> Happening {
    Happening::LabelAssociated {
        id: update.label_id.clone(),
        chat: address(&update.chat_jid),
        added: update.action.labeled.unwrap_or(false),
    }
}
