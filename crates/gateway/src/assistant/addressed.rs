//! Whether a message of a group is meant for us: it mentions the number, or replies to one of its messages.

use flowcore_domain::instance::Instance;
use flowcore_domain::jid::Jid;
use flowcore_storage::StoredMessage;
use serde_json::Value;

/// Whether the assistant is spoken to. In a chat with one person it always is.
pub(crate) fn is_addressed(instance: &Instance, message: &StoredMessage) -> bool {
    if !message.chat.is_group() {
        return true;
    }
    let Some(own) = &instance.identity else { return false };
    let is_own = |address: &Value| {
        let address = address.as_str().and_then(|text| text.parse::<Jid>().ok());
        address.is_some_and(|jid| jid == own.jid || own.lid.as_ref() == Some(&jid))
    };
    let of_media = &message.content[message.kind.as_str()]["contextInfo"];
    let contexts = [message.context.as_ref().unwrap_or(&Value::Null), of_media];
    contexts.into_iter().any(|context| {
        let mentioned = context["mentionedJid"].as_array();
        let replies = !context["stanzaId"].is_null() && is_own(&context["participant"]);
        replies || mentioned.is_some_and(|all| all.iter().any(is_own))
    })
}
