-- The assistant's settings, conversations, documents, hand-off to people, limits and traces. The tables that
-- the first version of Flowcore had keep its column names and PostgreSQL's own types.

ALTER TABLE whatsapp_instances ADD COLUMN reject_calls BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE whatsapp_instances ADD COLUMN reject_calls_message TEXT NOT NULL DEFAULT '';

-- `api_key` is sealed.
CREATE TABLE whatsapp_ai_config (
    id UUID PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL UNIQUE REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    system_prompt TEXT NOT NULL,
    temperature NUMERIC NOT NULL,
    is_active BOOLEAN NOT NULL,
    process_voice_messages BOOLEAN NOT NULL,
    voice_message_default_response TEXT NOT NULL,
    default_voice_language TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    base_url TEXT,
    api_key BYTEA,
    limits JSONB NOT NULL,
    pacing JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- `version` counts changes of `owner`: who answers only writes when it is still the one.
CREATE TABLE whatsapp_conversations (
    id UUID PRIMARY KEY,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_phone TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'expired', 'escalated')),
    owner TEXT COLLATE "C" NOT NULL CHECK (owner IN ('ai', 'human', 'paused', 'closed')),
    version BIGINT NOT NULL DEFAULT 0,
    conversation_data JSONB NOT NULL,
    last_message_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX whatsapp_conversations_by_time ON whatsapp_conversations (instance_id, last_message_at, id);
CREATE UNIQUE INDEX whatsapp_conversations_open ON whatsapp_conversations (instance_id, user_phone)
    WHERE status <> 'expired';

CREATE TABLE whatsapp_conversation_messages (
    id UUID PRIMARY KEY,
    conversation_id UUID NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('user', 'assistant', 'human')),
    content TEXT NOT NULL,
    metadata JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX whatsapp_conversation_messages_in_order
    ON whatsapp_conversation_messages (conversation_id, created_at, id);

CREATE TABLE documents (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    content_hash BYTEA NOT NULL,
    bytes BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('queued', 'reading', 'indexed', 'failed')),
    reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX documents_of_user ON documents (user_id, created_at, id);

CREATE TABLE document_chunks (
    document_id TEXT COLLATE "C" NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    embedding BYTEA,
    embedding_model TEXT COLLATE "C",
    PRIMARY KEY (document_id, number)
);

CREATE TABLE whatsapp_file_mappings (
    id UUID PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    file_id TEXT COLLATE "C" NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (whatsapp_instance_id, file_id)
);
CREATE INDEX whatsapp_file_mappings_of_file ON whatsapp_file_mappings (file_id);

CREATE TABLE whatsapp_support_config (
    id UUID PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL UNIQUE REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    is_active BOOLEAN NOT NULL,
    support_phones JSONB NOT NULL,
    customer_template TEXT NOT NULL,
    support_template TEXT NOT NULL,
    business_hours JSONB,
    auto_return_minutes BIGINT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE whatsapp_support_keywords (
    id UUID PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    keyword TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (whatsapp_instance_id, keyword)
);

CREATE TABLE whatsapp_escalated_conversations (
    id UUID PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    conversation_id UUID NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    reason TEXT COLLATE "C" NOT NULL,
    keyword TEXT,
    summary TEXT NOT NULL,
    note TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    resolved_at TIMESTAMPTZ
);
CREATE UNIQUE INDEX whatsapp_escalated_conversations_open
    ON whatsapp_escalated_conversations (conversation_id) WHERE resolved_at IS NULL;
CREATE INDEX whatsapp_escalated_conversations_by_time
    ON whatsapp_escalated_conversations (whatsapp_instance_id, created_at, id);

CREATE TABLE prompt_generations (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX prompt_generations_of_user ON prompt_generations (user_id, created_at);

-- `period` is a month, as 2026-01.
CREATE TABLE usage_counters (
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    period TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (user_id, period, name)
);

CREATE TABLE audit_log (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id UUID REFERENCES profiles (id) ON DELETE SET NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C",
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (at, id);

CREATE TABLE debug_log (
    id TEXT COLLATE "C" PRIMARY KEY,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    trace TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX debug_log_of_trace ON debug_log (instance_id, trace, at);
CREATE INDEX debug_log_by_time ON debug_log (at);

CREATE TABLE media (
    message_id TEXT COLLATE "C" PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    mimetype TEXT,
    file_name TEXT,
    bytes BIGINT,
    sha256 BYTEA,
    seconds BIGINT,
    width BIGINT,
    height BIGINT,
    stored_at BIGINT
);

-- Who has a message of a group, and how far.
CREATE TABLE message_status (
    message_id TEXT COLLATE "C" NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    participant TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (message_id, participant)
);

-- As in the second migration: whoever else is let in sees own rows only.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    END LOOP;
    IF to_regprocedure('auth.uid()') IS NOT NULL THEN
        CREATE POLICY own ON whatsapp_ai_config FOR SELECT USING (user_id = auth.uid());
        CREATE POLICY own ON documents FOR SELECT USING (user_id = auth.uid());
        CREATE POLICY own ON whatsapp_conversations FOR SELECT
            USING (instance_id IN (SELECT id FROM whatsapp_instances));
        CREATE POLICY own ON whatsapp_conversation_messages FOR SELECT
            USING (conversation_id IN (SELECT id FROM whatsapp_conversations));
        FOREACH name IN ARRAY ARRAY['whatsapp_file_mappings', 'whatsapp_support_config',
            'whatsapp_support_keywords', 'whatsapp_escalated_conversations'] LOOP
            EXECUTE format('CREATE POLICY own ON %I FOR SELECT
                USING (whatsapp_instance_id IN (SELECT id FROM whatsapp_instances))', name);
        END LOOP;
    END IF;
END $$;
