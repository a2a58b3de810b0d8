//! The shape of every event of this module, as receivers get it.

use super::*;
use flowcore_domain::happening::{CallStep, ParticipantsAction};
use flowcore_domain::message::Addressing;
use uuid::Uuid;

const AT: Millis = Millis(1_767_603_600_000);
const GROUP: &str = "120363000000000001@g.us";

fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

fn ana() -> Person {
    Person { jid: jid("103800000000001@lid"), alt: Some(jid("5511988887777@s.whatsapp.net")) }
}

fn shown(event: &NewEvent) -> Value {
    json!({ "event": event.kind.as_str(), "chain": event.ordering_key, "data": event.data })
}

fn change(outcome: Outcome) -> MessageChange {
    MessageChange {
        id: "3AEDIT".to_owned(),
        target: "3A554E20ECABF3D45BB2".to_owned(),
        chat: jid(GROUP),
        chat_alt: None,
        writer: ana().jid,
        writer_alt: ana().alt,
        from_me: false,
        addressing: Addressing::Lid,
        timestamp: 1_767_603_600,
        outcome,
    }
}

#[test]
fn changes_of_messages() {
    let instance = InstanceId(Uuid::from_u128(7));
    let edited = change(Outcome::Edited(json!({ "conversation": "new" })));
    let events = [edited.clone(), change(Outcome::Revoked)]
        .map(|change| shown(&changed(instance, &change, AT)));
    insta::assert_json_snapshot!("changes_of_messages", events);
    let (one, again) = (changed(instance, &edited, AT), changed(instance, &edited, Millis(5)));
    assert_eq!(one.id, again.id, "the same change, the same event");
    assert_ne!(one.id, changed(InstanceId(Uuid::nil()), &edited, AT).id);
}

#[test]
fn happenings() {
    let name: InstanceName = "shop".parse().expect("a name");
    let instance = InstanceId(Uuid::from_u128(7));
    let (by, group) = (Some(ana()), jid(GROUP));
    let regrouped =
        |change| Happening::GroupChanged { group: group.clone(), by: by.clone(), change };
    let all = [
        Happening::Presence {
            chat: ana(),
            who: ana(),
            state: PresenceState::Composing,
            last_seen: None,
        },
        Happening::Presence {
            chat: ana(),
            who: ana(),
            state: PresenceState::Unavailable,
            last_seen: Some(AT),
        },
        Happening::ContactNamed { who: ana(), name: Some("Ana Lima".to_owned()) },
        Happening::ChatChanged { chat: group.clone(), read: None },
        Happening::ChatDeleted { chat: group.clone() },
        Happening::GroupMade {
            group: group.clone(),
            subject: Some("Orders".to_owned()),
            by: by.clone(),
            people: vec![ana()],
        },
        regrouped(GroupChange::Subject("Old orders".to_owned())),
        regrouped(GroupChange::Description(None)),
        regrouped(GroupChange::Restrict(true)),
        regrouped(GroupChange::Announce(false)),
        regrouped(GroupChange::Ephemeral(86_400)),
        regrouped(GroupChange::Closed(true)),
        Happening::Participants {
            group: group.clone(),
            by: by.clone(),
            action: ParticipantsAction::Promote,
            people: vec![ana()],
        },
        Happening::Call(Call {
            id: "C1".to_owned(),
            from: ana(),
            group: Some(group.clone()),
            video: true,
            step: CallStep::Offer,
            at: AT,
            offline: false,
        }),
        Happening::LabelEdited {
            id: "4".to_owned(),
            name: Some("Paid".to_owned()),
            color: Some(3),
            deleted: false,
            predefined: Some(2),
        },
        Happening::LabelAssociated { id: "4".to_owned(), chat: ana().jid, added: true },
    ];
    let events = all.map(|one| shown(&happened((instance, &name), &one, AT)));
    insta::assert_json_snapshot!("happenings", events);
}
