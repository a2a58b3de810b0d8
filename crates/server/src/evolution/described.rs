//! What the routes of this dialect take and answer, for the reference. Bodies are described by the tables
//! that they are checked with.

use super::group::{invites, manage};
use super::message::interactive::{BUTTONS, CAROUSEL, LIST};
use super::message::media::{MEDIA, one_file};
use super::message::{self, OPTIONS, status};
use super::schema::{self, Field};
use super::{chat, download, events, group, history, instance, label, options, poll, profile};
use crate::openapi::{Operation, op};

const INSTANCES: &str = "Evolution: instances";
const MESSAGES: &str = "Evolution: messages";
const CHATS: &str = "Evolution: chats";
const PROFILES: &str = "Evolution: profiles";
const GROUPS: &str = "Evolution: groups";
/// The group may be named by the query or by the body.
const GROUP: &str = "{groupJid?: string}";
const CODE: &str = "{inviteCode?: string}";

/// A route that is asked without a body.
fn asked(tag: &'static str, route: &'static str, summary: &'static str) -> Operation {
    op(tag, route, summary).answers(200, "any")
}

/// A route with a body, that answers so.
fn posted(
    tag: &'static str,
    (route, status): (&'static str, u16),
    summary: &'static str,
    fields: &[Field],
) -> Operation {
    let body = schema::described(fields);
    op(tag, route, summary).takes("application/json", body).answers(status, "any")
}

/// A route that sends: what every message has, and what is its own.
fn sends(route: &'static str, summary: &'static str, own: &[Field]) -> Operation {
    let fields: Vec<Field> = OPTIONS.iter().chain(own).copied().collect();
    posted(MESSAGES, (route, 201), summary, &fields)
}

/// All of them.
pub(crate) fn operations() -> Vec<Operation> {
    let mut all = instances();
    all.extend(settings());
    all.extend(messages());
    all.extend(questions());
    all.extend(chats());
    all.extend(profiles());
    all.extend(groups());
    all.extend(newer());
    all
}

fn instances() -> Vec<Operation> {
    let tag = INSTANCES;
    vec![
        posted(tag, ("POST /instance/create", 201), "Makes an instance", &instance::CREATE),
        asked(tag, "GET /instance/fetchInstances", "The instances, or those that are named")
            .query("{instanceName?: string, instanceId?: string, number?: string}")
            .refuses(&[404]),
        asked(
            tag,
            "GET /instance/connect/{name}",
            "The code to scan, and with a number the one to type",
        )
        .query("{number?: string}"),
        asked(tag, "GET /instance/connectionState/{name}", "Whether it is connected"),
        asked(tag, "POST /instance/restart/{name}", "Stops and starts the session"),
        asked(tag, "PUT /instance/restart/{name}", "The same"),
        asked(tag, "DELETE /instance/logout/{name}", "Unlinks the device"),
        asked(tag, "DELETE /instance/delete/{name}", "Removes the instance"),
        asked(tag, "POST /verify-creds", "Whether the key is good"),
        posted(
            tag,
            ("POST /instance/setPresence/{name}", 201),
            "Shows the owner as available or not",
            &chat::OWN_PRESENCE,
        ),
    ]
}

fn settings() -> Vec<Operation> {
    let tag = INSTANCES;
    vec![
        posted(tag, ("POST /settings/set/{name}", 201), "Sets all settings", &options::SETTINGS),
        asked(tag, "GET /settings/find/{name}", "The settings"),
        posted(
            tag,
            ("POST /proxy/set/{name}", 201),
            "Sets the proxy, after trying it",
            &options::PROXY,
        ),
        asked(tag, "GET /proxy/find/{name}", "The proxy"),
        posted(
            tag,
            ("POST /webhook/set/{name}", 201),
            "Sets the webhook",
            &events::WRAPPED_WEBHOOK,
        ),
        asked(tag, "GET /webhook/find/{name}", "The webhook"),
        posted(
            tag,
            ("POST /websocket/set/{name}", 201),
            "Sets what Socket.IO tells",
            &events::WRAPPED_WEBSOCKET,
        ),
        asked(tag, "GET /websocket/find/{name}", "What Socket.IO tells"),
    ]
}

fn messages() -> Vec<Operation> {
    let tag = MESSAGES;
    vec![
        sends("POST /message/sendText/{name}", "Sends a text", &message::WORDS),
        sends(
            "POST /message/sendMedia/{name}",
            "Sends a picture, a film, a sound or a document",
            &MEDIA,
        ),
        sends("POST /message/sendPtv/{name}", "Sends a round film", &one_file("video")),
        sends("POST /message/sendWhatsAppAudio/{name}", "Sends a voice note", &one_file("audio")),
        sends("POST /message/sendSticker/{name}", "Sends a sticker", &one_file("sticker")),
        sends("POST /message/sendLocation/{name}", "Sends a place", &message::LOCATION),
        sends("POST /message/sendContact/{name}", "Sends contacts", &message::CONTACTS),
        sends("POST /message/sendPoll/{name}", "Sends a poll", &message::POLL),
        sends("POST /message/sendList/{name}", "Sends a list to choose from", &LIST),
        sends("POST /message/sendButtons/{name}", "Sends buttons", &BUTTONS),
        posted(
            tag,
            ("POST /message/sendReaction/{name}", 201),
            "Reacts to a message; an empty text takes it back",
            &message::REACTION,
        ),
        posted(tag, ("POST /chat/updateMessage/{name}", 200), "Edits a message", &message::EDIT),
        posted(
            tag,
            ("DELETE /chat/deleteMessageForEveryone/{name}", 201),
            "Takes a message back",
            &message::WHOLE_KEY,
        ),
    ]
}

/// Those that came with 2.4, and statuses.
fn newer() -> Vec<Operation> {
    vec![
        posted(
            MESSAGES,
            ("POST /message/sendStatus/{name}", 201),
            "Shows a status to many for a day",
            &status::STATUS,
        ),
        sends("POST /message/sendCarousel/{name}", "Sends cards with buttons", &CAROUSEL),
        posted(
            CHATS,
            ("POST /chat/markMessageAsPlayed/{name}", 201),
            "Marks voice messages and films as played",
            &chat::READ,
        ),
        posted(CHATS, ("POST /chat/getPollVote/{name}", 200), "Who chose what", &poll::ASKED),
        asked(CHATS, "POST /chat/findChannels/{name}", "The channels that the owner follows"),
        posted(
            GROUPS,
            ("POST /group/updateMemberAddMode/{name}", 201),
            "Who may let people in",
            &manage::MODE,
        )
        .query(GROUP),
    ]
}

fn questions() -> Vec<Operation> {
    let tag = CHATS;
    let stored = |route, summary| posted(tag, (route, 200), summary, &history::ASKED).or_none();
    vec![
        stored("POST /chat/findMessages/{name}", "Stored messages"),
        stored("POST /chat/findChats/{name}", "Chats"),
        stored("POST /chat/findContacts/{name}", "Contacts"),
        stored("POST /chat/findStatusMessage/{name}", "How far messages got"),
        asked(tag, "GET /chat/findChatByRemoteJid/{name}", "One chat").query("{remoteJid: string}"),
        posted(
            tag,
            ("POST /chat/getBase64FromMediaMessage/{name}", 201),
            "The file of a message",
            &download::ASKED,
        ),
        posted(
            tag,
            ("POST /chat/whatsappNumbers/{name}", 200),
            "Which numbers are on WhatsApp",
            &chat::NUMBERS,
        ),
        posted(tag, ("POST /chat/checkIsWhatsappNumber/{name}", 200), "The same", &chat::NUMBERS),
    ]
}

fn chats() -> Vec<Operation> {
    let tag = CHATS;
    vec![
        posted(
            tag,
            ("POST /chat/markMessageAsRead/{name}", 201),
            "Marks messages as read",
            &chat::READ,
        ),
        posted(tag, ("POST /chat/archiveChat/{name}", 201), "Archives a chat", &chat::ARCHIVE),
        posted(
            tag,
            ("POST /chat/markChatUnread/{name}", 201),
            "Marks a chat as unread",
            &chat::UNREAD,
        ),
        posted(
            tag,
            ("POST /chat/sendPresence/{name}", 201),
            "Shows the owner typing",
            &chat::PRESENCE,
        ),
        posted(tag, ("POST /chat/updateBlockStatus/{name}", 201), "Blocks somebody", &chat::BLOCK),
        asked(tag, "GET /label/findLabels/{name}", "The labels"),
        posted(tag, ("POST /label/handleLabel/{name}", 200), "Labels a chat", &label::LABEL),
    ]
}

fn profiles() -> Vec<Operation> {
    let tag = PROFILES;
    vec![
        posted(
            tag,
            ("POST /chat/fetchProfilePictureUrl/{name}", 200),
            "Somebody's picture",
            &[message::NUMBER],
        ),
        posted(
            tag,
            ("POST /chat/fetchProfile/{name}", 200),
            "Somebody's profile",
            &profile::ANYBODY,
        )
        .or_none(),
        posted(
            tag,
            ("POST /chat/fetchBusinessProfile/{name}", 200),
            "The profile of a business",
            &[message::NUMBER],
        ),
        posted(tag, ("POST /chat/updateProfileName/{name}", 200), "Sets the name", &profile::NAME),
        posted(
            tag,
            ("POST /chat/updateProfileStatus/{name}", 200),
            "Sets the about",
            &profile::ABOUT,
        ),
        posted(
            tag,
            ("POST /chat/updateProfilePicture/{name}", 200),
            "Sets the picture",
            &profile::PICTURE,
        ),
        asked(tag, "DELETE /chat/removeProfilePicture/{name}", "Takes the picture away"),
        asked(tag, "GET /chat/fetchPrivacySettings/{name}", "Who sees what"),
        posted(
            tag,
            ("POST /chat/updatePrivacySettings/{name}", 201),
            "Sets who sees what",
            &profile::PRIVACY,
        ),
    ]
}

fn groups() -> Vec<Operation> {
    let tag = GROUPS;
    let about = |route, summary| asked(tag, route, summary).query(GROUP);
    let change =
        |route, summary, fields: &[Field]| posted(tag, (route, 201), summary, fields).query(GROUP);
    vec![
        posted(tag, ("POST /group/create/{name}", 201), "Makes a group", &group::CREATE),
        change("POST /group/updateGroupSubject/{name}", "Names a group", &manage::SUBJECT),
        change(
            "POST /group/updateGroupDescription/{name}",
            "Describes a group",
            &manage::DESCRIPTION,
        ),
        change("POST /group/updateGroupPicture/{name}", "Sets a group's picture", &manage::PICTURE),
        change(
            "POST /group/updateParticipant/{name}",
            "Adds, removes or ranks members",
            &manage::CHANGE,
        ),
        change("POST /group/updateSetting/{name}", "Who may write and change", &manage::SETTING),
        change("POST /group/toggleEphemeral/{name}", "How long messages stay", &manage::EPHEMERAL),
        about("GET /group/findGroupInfos/{name}", "One group"),
        asked(tag, "GET /group/fetchAllGroups/{name}", "All groups")
            .query("{getParticipants?: string}"),
        about("GET /group/participants/{name}", "The members of a group"),
        about("GET /group/inviteCode/{name}", "The invite code"),
        asked(tag, "GET /group/inviteInfo/{name}", "The group of an invite code").query(CODE),
        asked(tag, "GET /group/acceptInviteCode/{name}", "Joins by an invite code").query(CODE),
        posted(tag, ("POST /group/sendInvite/{name}", 200), "Sends an invite", &invites::INVITE),
        change("POST /group/revokeInviteCode/{name}", "A new invite code", &[]),
        about("DELETE /group/leaveGroup/{name}", "Leaves a group"),
    ]
}
