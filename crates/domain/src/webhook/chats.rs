//! Which chats an endpoint hears of.

use crate::event::{EventKind, NewEvent};

/// Chats that can be left out. All are in unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatFilter {
    /// Groups.
    pub groups: bool,
    /// Messages that the number's owner wrote.
    pub own: bool,
    /// Status posts.
    pub status: bool,
}

impl Default for ChatFilter {
    fn default() -> Self {
        Self { groups: true, own: true, status: true }
    }
}

impl ChatFilter {
    /// Whether an event passes. Events of the instance itself always do, and so do the receipts of own
    /// messages: who sends wants to know what became of it.
    #[must_use]
    pub fn passes(self, event: &NewEvent) -> bool {
        let chat = event.ordering_key.as_str();
        let own = match event.kind {
            EventKind::SendMessage | EventKind::SendMessageUpdate => true,
            EventKind::MessagesUpsert | EventKind::MessagesEdited => {
                event.data["key"]["fromMe"] == true
            }
            EventKind::MessagesDelete => {
                event.data["fromMe"] == true || event.data["key"]["fromMe"] == true
            }
            _ => false,
        };
        (self.own || !own)
            && (self.groups || !chat.ends_with("@g.us"))
            && (self.status || chat != "status@broadcast")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::id::{EventId, InstanceId};
    use serde_json::json;
    use uuid::Uuid;

    fn event(kind: EventKind, chat: &str, own: bool) -> NewEvent {
        NewEvent {
            id: EventId(Uuid::nil()),
            instance_id: InstanceId(Uuid::nil()),
            kind,
            ordering_key: chat.to_owned(),
            at: Millis(0),
            data: json!({ "key": { "fromMe": own } }),
        }
    }

    #[test]
    fn what_is_left_out_does_not_pass_and_everything_else_does() {
        let all = [
            event(EventKind::MessagesUpsert, "5511@s.whatsapp.net", false),
            event(EventKind::MessagesUpsert, "5511@s.whatsapp.net", true),
            event(EventKind::SendMessage, "5511@s.whatsapp.net", true),
            event(EventKind::MessagesUpsert, "1203@g.us", false),
            event(EventKind::MessagesUpsert, "status@broadcast", false),
            event(EventKind::ConnectionUpdate, "", false),
        ];
        let passing = |filter: ChatFilter| all.each_ref().map(|event| filter.passes(event));
        let open = ChatFilter::default();
        assert_eq!(passing(open), [true; 6]);
        let no_groups = ChatFilter { groups: false, ..open };
        assert_eq!(passing(no_groups), [true, true, true, false, true, true]);
        let no_own = ChatFilter { own: false, ..open };
        assert_eq!(passing(no_own), [true, false, false, true, true, true]);
        let no_status = ChatFilter { status: false, ..open };
        assert_eq!(passing(no_status), [true, true, true, true, false, true]);
    }
}
