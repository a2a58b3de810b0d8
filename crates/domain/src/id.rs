//! Typed ids. All of them are version-7 UUIDs inside, so they sort by time of creation; the type keeps an
//! instance's id from being used where a webhook's is meant.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id as stored: the UUID's hyphenated text.
            #[must_use]
            pub fn text(&self) -> String {
                self.0.to_string()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

typed_id!(
    /// One WhatsApp number that Flowcore runs (a row of `whatsapp_instances`).
    InstanceId
);
typed_id!(
    /// A user of the server (a row of `profiles`).
    UserId
);
typed_id!(
    /// A stored message (a row of `messages`); not WhatsApp's message id.
    MessageRowId
);
typed_id!(
    /// An event of the outbox; also the `webhook-id` of its deliveries.
    EventId
);
typed_id!(
    /// A URL that events are posted to.
    WebhookId
);
typed_id!(
    /// One event on its way to one webhook.
    DeliveryId
);
typed_id!(
    /// A key of the API (a row of `api_keys`).
    ApiKeyId
);
typed_id!(
    /// A sign-in (a row of `login_sessions`).
    SessionId
);
typed_id!(
    /// Something that was done (a row of `audit_log`).
    AuditId
);
typed_id!(
    /// A conversation with a customer (a row of `whatsapp_conversations`).
    ConversationId
);
typed_id!(
    /// What somebody said in one (a row of `whatsapp_conversation_messages`).
    SaidId
);
typed_id!(
    /// A customer who waits for a person, or did (a row of `whatsapp_escalated_conversations`).
    EscalationId
);
typed_id!(
    /// A document that the assistant answers from (a row of `documents`).
    DocumentId
);
typed_id!(
    /// A wording of an assistant's prompt (a row of `ai_prompt_versions`).
    PromptVersionId
);
typed_id!(
    /// A stored conversation that an assistant is tried on (a row of `ai_cases`).
    AiCaseId
);
