-- A conversation belongs to a chat (`chat_key`: the contact's id, or a group's address) and is answered at
-- `chat`. Each change of its owner or status leaves a row; each message is in it once.
ALTER TABLE whatsapp_conversations ADD COLUMN chat_key TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE whatsapp_conversations ADD COLUMN chat TEXT COLLATE "C" NOT NULL DEFAULT '';
DROP INDEX whatsapp_conversations_open;
CREATE UNIQUE INDEX whatsapp_conversations_open ON whatsapp_conversations (instance_id, chat_key)
    WHERE status <> 'expired';
-- Those that end, or go back to the assistant, when nobody writes.
CREATE INDEX whatsapp_conversations_idle ON whatsapp_conversations (last_message_at)
    WHERE status <> 'expired';

-- `message_id` is the row of `messages`, where there is one.
ALTER TABLE whatsapp_conversation_messages ADD COLUMN message_id TEXT COLLATE "C";
CREATE UNIQUE INDEX whatsapp_conversation_messages_once
    ON whatsapp_conversation_messages (conversation_id, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE whatsapp_conversation_transitions (
    conversation_id UUID NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    from_owner TEXT COLLATE "C" NOT NULL,
    to_owner TEXT COLLATE "C" NOT NULL,
    from_status TEXT COLLATE "C" NOT NULL,
    to_status TEXT COLLATE "C" NOT NULL,
    cause TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, version)
);

ALTER TABLE whatsapp_escalated_conversations ADD COLUMN first_answer_at TIMESTAMPTZ;
ALTER TABLE whatsapp_escalated_conversations ADD COLUMN alert TEXT;
ALTER TABLE whatsapp_escalated_conversations ADD COLUMN resolved_by TEXT COLLATE "C";

-- What was sent to a support phone about a conversation: an answer to it goes to the customer.
CREATE TABLE whatsapp_support_messages (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    wa_id TEXT COLLATE "C" NOT NULL,
    conversation_id UUID NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    phone TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, wa_id)
);
CREATE INDEX whatsapp_support_messages_of_phone
    ON whatsapp_support_messages (instance_id, phone, created_at);
CREATE INDEX whatsapp_support_messages_of_conversation
    ON whatsapp_support_messages (conversation_id, created_at);

-- As in the second migration: whoever else is let in sees own rows only.
DO $$
BEGIN
    ALTER TABLE whatsapp_conversation_transitions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE whatsapp_support_messages ENABLE ROW LEVEL SECURITY;
    IF to_regprocedure('auth.uid()') IS NOT NULL THEN
        CREATE POLICY own ON whatsapp_conversation_transitions FOR SELECT
            USING (conversation_id IN (SELECT id FROM whatsapp_conversations));
        CREATE POLICY own ON whatsapp_support_messages FOR SELECT
            USING (instance_id IN (SELECT id FROM whatsapp_instances));
    END IF;
END $$;
