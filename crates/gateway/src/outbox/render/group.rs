//! Groups, as events and answers show them.

use flowcore_domain::engine::{CommunityPart, Group, GroupMember, MemberRank};
use serde_json::{Value, json};

/// A group with its members.
#[must_use]
pub fn group_record(group: &Group) -> Value {
    let members: Vec<Value> = group.members.iter().map(member).collect();
    json!({
        "id": group.id,
        "subject": group.subject,
        "subjectOwner": group.subject_owner,
        "subjectTime": group.subject_time,
        "pictureUrl": null,
        "size": group.size,
        "creation": group.creation,
        "owner": group.owner,
        "desc": group.description,
        "descId": group.description_id,
        "restrict": group.locked,
        "announce": group.announcement,
        "isCommunity": group.part == CommunityPart::Whole,
        "isCommunityAnnounce": group.part == CommunityPart::Announcements,
        "linkedParent": group.parent,
        "participants": members,
    })
}

fn member(one: &GroupMember) -> Value {
    let admin = match one.rank {
        MemberRank::Member => None,
        MemberRank::Admin => Some("admin"),
        MemberRank::SuperAdmin => Some("superadmin"),
    };
    let mut shown = json!({ "id": one.jid, "admin": admin });
    if let Some(phone) = &one.phone {
        shown["phoneNumber"] = json!(phone);
    }
    if let Some(lid) = &one.lid {
        shown["lid"] = json!(lid);
    }
    shown
}
