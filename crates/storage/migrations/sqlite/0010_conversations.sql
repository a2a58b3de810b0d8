-- A conversation belongs to a chat (`chat_key`: the contact's id, or a group's address) and is answered at
-- `chat`. Each change of its owner or status leaves a row; each message is in it once.
ALTER TABLE whatsapp_conversations ADD COLUMN chat_key TEXT NOT NULL DEFAULT '';
ALTER TABLE whatsapp_conversations ADD COLUMN chat TEXT NOT NULL DEFAULT '';
DROP INDEX whatsapp_conversations_open;
CREATE UNIQUE INDEX whatsapp_conversations_open ON whatsapp_conversations (instance_id, chat_key)
    WHERE status <> 'expired';
-- Those that end, or go back to the assistant, when nobody writes.
CREATE INDEX whatsapp_conversations_idle ON whatsapp_conversations (last_message_at)
    WHERE status <> 'expired';

-- `message_id` is the row of `messages`, where there is one.
ALTER TABLE whatsapp_conversation_messages ADD COLUMN message_id TEXT;
CREATE UNIQUE INDEX whatsapp_conversation_messages_once
    ON whatsapp_conversation_messages (conversation_id, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE whatsapp_conversation_transitions (
    conversation_id TEXT NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    step TEXT NOT NULL,
    from_owner TEXT NOT NULL,
    to_owner TEXT NOT NULL,
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    cause TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, version)
);

ALTER TABLE whatsapp_escalated_conversations ADD COLUMN first_answer_at BIGINT;
ALTER TABLE whatsapp_escalated_conversations ADD COLUMN alert TEXT;
ALTER TABLE whatsapp_escalated_conversations ADD COLUMN resolved_by TEXT;

-- What was sent to a support phone about a conversation: an answer to it goes to the customer.
CREATE TABLE whatsapp_support_messages (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    wa_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    phone TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, wa_id)
);
CREATE INDEX whatsapp_support_messages_of_phone
    ON whatsapp_support_messages (instance_id, phone, created_at);
CREATE INDEX whatsapp_support_messages_of_conversation
    ON whatsapp_support_messages (conversation_id, created_at);
