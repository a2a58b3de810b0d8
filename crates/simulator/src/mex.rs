//! `w:mex`: persisted GraphQL queries, known by number. The numbers rotate, so each operation has
//! those of several clients.

mod newsletters;

pub(crate) use newsletters::follow;

use serde_json::{Value, json};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::groups;
use crate::stanza::{bytes_of, child, error_of, leaf, result_of, text_attr};
use crate::world::groups::Group;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};

/// What clients can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    CreateNewsletter,
    Newsletter,
    Subscribed,
    Join,
    Leave,
    Update,
    UserSetting,
    Delete,
    Mute,
    Unmute,
    Subscribers,
    AdminCount,
    ChangeOwner,
    Demote,
    ReachoutTimelock,
    CappingInfo,
    Subgroups,
    SubgroupCounts,
    GroupProperty,
    AboutStatus,
}

const OPERATIONS: [(&str, Operation); 22] = [
    ("25149874324715067", Operation::CreateNewsletter),
    ("8823471724422422", Operation::CreateNewsletter),
    ("27456920720571478", Operation::Newsletter),
    ("6563316087068696", Operation::Newsletter),
    ("25399611239711790", Operation::Subscribed),
    ("24404358912487870", Operation::Join),
    ("9767147403369991", Operation::Leave),
    ("24250201037901610", Operation::Update),
    ("31938993655691868", Operation::UserSetting),
    ("30062808666639665", Operation::Delete),
    ("29766401636284406", Operation::Mute),
    ("9864994326891137", Operation::Unmute),
    ("9783111038412085", Operation::Subscribers),
    ("7130823597031706", Operation::AdminCount),
    ("7341777602580933", Operation::ChangeOwner),
    ("6551828931592903", Operation::Demote),
    ("23983697327930364", Operation::ReachoutTimelock),
    ("24503548349331633", Operation::CappingInfo),
    ("9935467776504344", Operation::Subgroups),
    ("24079399904996141", Operation::SubgroupCounts),
    ("9418211574894172", Operation::GroupProperty),
    ("24535500086059408", Operation::AboutStatus),
];

/// A GraphQL error: code and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal(u16, &'static str);

const BAD_REQUEST: Refusal = Refusal(400, "Bad request");
const FORBIDDEN: Refusal = Refusal(403, "Forbidden");
const NOT_FOUND: Refusal = Refusal(404, "Not Found");

/// Answers one query.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(query) = child(iq, "query") else { return error_of(iq, 400, "bad-request") };
    let id = text_attr(query, "query_id");
    let Some((_, operation)) = OPERATIONS.iter().find(|(known, _)| *known == id) else {
        Stats::count(&mut world.stats.unknown, format!("w:mex/{id}"));
        return error_of(iq, 501, "feature-not-implemented");
    };
    let request: Option<Value> = bytes_of(query).and_then(|b| serde_json::from_slice(b).ok());
    let Some(request) = request else { return error_of(iq, 400, "bad-request") };
    let answer = match run(world, &owner.phone, *operation, &request["variables"]) {
        Ok(data) => json!({ "data": data }),
        Err(Refusal(code, text)) => json!({
            "data": null,
            "errors": [{
                "message": text,
                "path": [],
                "extensions": { "error_code": code, "is_summary": false, "severity": "CRITICAL" },
            }],
        }),
    };
    result_of(iq, [leaf("result", answer.to_string().into_bytes())])
}

fn run(
    world: &mut World,
    viewer: &str,
    operation: Operation,
    variables: &Value,
) -> Result<Value, Refusal> {
    match operation {
        Operation::ReachoutTimelock => Ok(json!({
            "xwa2_fetch_account_reachout_timelock": {
                "is_active": false, "time_enforcement_ends": null, "enforcement_type": null,
            },
        })),
        Operation::CappingInfo => Ok(json!({
            "xwa2_message_capping_info": { "capping_status": "NONE", "total_quota": null },
        })),
        Operation::AboutStatus => Ok(json!({ "xwa2_users_updates_since": [] })),
        Operation::Subgroups | Operation::SubgroupCounts => subgroups(world, viewer, variables),
        Operation::GroupProperty => group_property(world, viewer, variables),
        _ => newsletters::run(world, viewer, operation, variables),
    }
}

fn group_id(value: &Value) -> Result<String, Refusal> {
    let jid: Jid = value.as_str().and_then(|text| text.parse().ok()).ok_or(BAD_REQUEST)?;
    Ok(jid.user.to_string())
}

/// A community's groups: the announcement group apart from the others.
fn subgroups(world: &World, viewer: &str, variables: &Value) -> Result<Value, Refusal> {
    let asked = variables.get("group_id").unwrap_or(&variables["input"]["group_jid"]);
    let id = group_id(asked)?;
    let community = world.groups.get(&id).filter(|g| g.is_community()).ok_or(NOT_FOUND)?;
    community.role(viewer).ok_or(FORBIDDEN)?;
    let groups: Vec<&Group> =
        world.subgroups(&id).iter().filter_map(|id| world.groups.get(id)).collect();
    let default = groups.iter().find(|group| group.is_default_subgroup());
    let edges: Vec<Value> = groups
        .iter()
        .filter(|group| !group.is_default_subgroup())
        .map(|group| json!({ "node": subgroup(world, group) }))
        .collect();
    Ok(json!({ "xwa2_group_query_by_id": {
        "id": community.jid().to_string(),
        "default_sub_group": default.map(|group| subgroup(world, group)),
        "sub_groups": { "edges": edges },
    }}))
}

fn subgroup(world: &World, group: &Group) -> Value {
    let creator = world.accounts.get(&group.creator).map(|a| a.user_jid(Server::Lid).to_string());
    let general = groups::node::is_general(group);
    json!({
        "id": group.jid().to_string(),
        "subject": { "value": group.subject, "creation_time": group.subject_at },
        "participants_count": group.members.len(),
        "total_participants_count": group.members.len(),
        "creation_time": group.created_at,
        "creator": { "id": creator },
        "properties": { "general_chat": general },
    })
}

fn group_property(world: &mut World, viewer: &str, variables: &Value) -> Result<Value, Refusal> {
    let id = group_id(&variables["group_id"])?;
    let updates = variables["update"].as_object().ok_or(BAD_REQUEST)?;
    for (name, value) in updates {
        groups::set_mode(world, viewer, &id, (name, value))
            .map_err(|groups::Refusal(code, text)| Refusal(code, text))?;
    }
    Ok(json!({ "xwa2_group_update_property": {
        "id": variables["group_id"], "state": "ACTIVE",
    }}))
}

/// A notification about a newsletter that clients get as `mex`: what it is now for newer clients,
/// what became of it for older ones.
fn notification(
    world: &mut World,
    from: &Jid,
    name: &'static str,
    (data, updates): (&Value, &Value),
) -> Node {
    let update = NodeBuilder::new("update")
        .attr("op_name", name)
        .bytes(json!({ "data": data, "updates": updates }).to_string().into_bytes())
        .build();
    NodeBuilder::new("notification")
        .attr("from", from.clone())
        .attr("type", "mex")
        .attr("id", world.stanza_id("mex"))
        .attr("t", crate::clock::unix_seconds())
        .children([update])
        .build()
}
