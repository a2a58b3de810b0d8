//! What an owner does on the phone with chats, contacts and labels: entries of app state that all
//! companions hear of.

use buffa::MessageField;
use serde::Deserialize;
use serde_json::json;
use wacore_binary::Jid;
use waproto::whatsapp::SyncActionValue;
use waproto::whatsapp::sync_action_value as value;

use super::PhoneError;
use crate::clock::unix_seconds;
use crate::notifications;
use crate::world::app_state::Action;
use crate::world::{DeviceAddress, World};

/// One thing done on the phone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Doing {
    Pin(Toggle),
    Archive(Toggle),
    Mute(Toggle),
    MarkRead(Toggle),
    Contact {
        phone: String,
        name: String,
    },
    Label {
        id: String,
        name: String,
        #[serde(default)]
        color: i32,
    },
    LabelChat {
        id: String,
        chat: String,
        on: bool,
    },
    DeleteChat {
        chat: String,
    },
    PushName(String),
}

/// A switch of a chat.
#[derive(Debug, Deserialize)]
pub(crate) struct Toggle {
    chat: String,
    on: bool,
}

/// A number's or an address's chat.
fn chat(text: &str) -> String {
    if text.contains('@') { text.to_owned() } else { Jid::pn(text).to_string() }
}

impl Doing {
    fn action(self) -> Action {
        let entry = |collection, version, index: serde_json::Value, value: SyncActionValue| {
            let timestamp = i64::try_from(unix_seconds() * 1000).ok();
            let index = index.to_string().into_bytes();
            Action { collection, index, version, value: SyncActionValue { timestamp, ..value } }
        };
        let none = SyncActionValue::default();
        match self {
            Self::Pin(Toggle { chat: with, on }) => {
                let pin_action = MessageField::some(value::PinAction { pinned: Some(on) });
                let value = SyncActionValue { pin_action, ..none };
                entry("regular_low", 5, json!(["pin_v1", chat(&with)]), value)
            }
            Self::Archive(Toggle { chat: with, on }) => {
                let archive = value::ArchiveChatAction {
                    archived: Some(on),
                    ..value::ArchiveChatAction::default()
                };
                let archive_chat_action = MessageField::some(archive);
                let value = SyncActionValue { archive_chat_action, ..none };
                entry("regular_low", 3, json!(["archive", chat(&with)]), value)
            }
            Self::Mute(Toggle { chat: with, on }) => {
                let mute = value::MuteAction {
                    muted: Some(on),
                    mute_end_timestamp: on.then_some(-1),
                    ..value::MuteAction::default()
                };
                let value = SyncActionValue { mute_action: MessageField::some(mute), ..none };
                entry("regular_high", 2, json!(["mute", chat(&with)]), value)
            }
            Self::MarkRead(Toggle { chat: with, on }) => {
                let read = value::MarkChatAsReadAction {
                    read: Some(on),
                    ..value::MarkChatAsReadAction::default()
                };
                let mark_chat_as_read_action = MessageField::some(read);
                let value = SyncActionValue { mark_chat_as_read_action, ..none };
                entry("regular_low", 3, json!(["markChatAsRead", chat(&with)]), value)
            }
            Self::Contact { phone, name } => {
                let contact = value::ContactAction {
                    first_name: name.split(' ').next().map(ToOwned::to_owned),
                    full_name: Some(name),
                    ..value::ContactAction::default()
                };
                let value = SyncActionValue { contact_action: MessageField::some(contact), ..none };
                entry("critical_unblock_low", 2, json!(["contact", chat(&phone)]), value)
            }
            Self::Label { id, name, color } => {
                let label = value::LabelEditAction {
                    name: Some(name),
                    color: Some(color),
                    deleted: Some(false),
                    ..value::LabelEditAction::default()
                };
                let value =
                    SyncActionValue { label_edit_action: MessageField::some(label), ..none };
                entry("regular", 3, json!(["label_edit", id]), value)
            }
            Self::LabelChat { id, chat: with, on } => {
                let labelled = value::LabelAssociationAction {
                    labeled: Some(on),
                    ..value::LabelAssociationAction::default()
                };
                let label_association_action = MessageField::some(labelled);
                let value = SyncActionValue { label_association_action, ..none };
                entry("regular", 3, json!(["label_jid", id, chat(&with)]), value)
            }
            Self::DeleteChat { chat: with } => {
                let delete = MessageField::some(value::DeleteChatAction::default());
                let value = SyncActionValue { delete_chat_action: delete, ..none };
                entry("regular_high", 6, json!(["deleteChat", chat(&with), "1"]), value)
            }
            Self::PushName(name) => {
                let name = value::PushNameSetting { name: Some(name) };
                let value = SyncActionValue { push_name_setting: MessageField::some(name), ..none };
                entry("critical_block", 1, json!(["setting_pushName"]), value)
            }
        }
    }
}

/// Does it; gives the collection and its new version.
pub(crate) fn perform(
    world: &mut World,
    phone: &str,
    doing: Doing,
) -> Result<(&'static str, u64), PhoneError> {
    let iv = world.next_bytes("app-state-iv");
    let account = world.accounts.get_mut(phone).ok_or(PhoneError::NoAccount)?;
    if let Doing::PushName(name) = &doing {
        account.profile.push_name.clone_from(name);
    }
    let action = doing.action();
    let version = account.app_state.write(&action, &iv);
    world.touch();
    let owner = DeviceAddress { phone: phone.to_owned(), device: 0 };
    notifications::app_state_changed(world, &owner, &[(action.collection.to_owned(), version)]);
    Ok((action.collection, version))
}
