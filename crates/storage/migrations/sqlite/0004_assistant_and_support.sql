-- The assistant's settings, conversations, documents, hand-off to people, limits and traces. The tables that
-- the first version of Flowcore had keep its column names.

ALTER TABLE whatsapp_instances ADD COLUMN reject_calls BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE whatsapp_instances ADD COLUMN reject_calls_message TEXT NOT NULL DEFAULT '';

-- `api_key` is sealed.
CREATE TABLE whatsapp_ai_config (
    id TEXT PRIMARY KEY NOT NULL,
    whatsapp_instance_id TEXT NOT NULL UNIQUE REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    system_prompt TEXT NOT NULL,
    temperature REAL NOT NULL,
    is_active BOOLEAN NOT NULL,
    process_voice_messages BOOLEAN NOT NULL,
    voice_message_default_response TEXT NOT NULL,
    default_voice_language TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    base_url TEXT,
    api_key BLOB,
    limits TEXT NOT NULL,
    pacing TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- `version` counts changes of `owner`: who answers only writes when it is still the one.
CREATE TABLE whatsapp_conversations (
    id TEXT PRIMARY KEY NOT NULL,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_phone TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'expired', 'escalated')),
    owner TEXT NOT NULL CHECK (owner IN ('ai', 'human', 'paused', 'closed')),
    version BIGINT NOT NULL DEFAULT 0,
    conversation_data TEXT NOT NULL,
    last_message_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX whatsapp_conversations_by_time ON whatsapp_conversations (instance_id, last_message_at, id);
CREATE UNIQUE INDEX whatsapp_conversations_open ON whatsapp_conversations (instance_id, user_phone)
    WHERE status <> 'expired';

CREATE TABLE whatsapp_conversation_messages (
    id TEXT PRIMARY KEY NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'human')),
    content TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX whatsapp_conversation_messages_in_order
    ON whatsapp_conversation_messages (conversation_id, created_at, id);

CREATE TABLE documents (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    bytes BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'reading', 'indexed', 'failed')),
    reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX documents_of_user ON documents (user_id, created_at, id);

CREATE TABLE document_chunks (
    document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    embedding BLOB,
    embedding_model TEXT,
    PRIMARY KEY (document_id, number)
);

CREATE TABLE whatsapp_file_mappings (
    id TEXT PRIMARY KEY NOT NULL,
    whatsapp_instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    file_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    UNIQUE (whatsapp_instance_id, file_id)
);
CREATE INDEX whatsapp_file_mappings_of_file ON whatsapp_file_mappings (file_id);

CREATE TABLE whatsapp_support_config (
    id TEXT PRIMARY KEY NOT NULL,
    whatsapp_instance_id TEXT NOT NULL UNIQUE REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    is_active BOOLEAN NOT NULL,
    support_phones TEXT NOT NULL,
    customer_template TEXT NOT NULL,
    support_template TEXT NOT NULL,
    business_hours TEXT,
    auto_return_minutes BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE whatsapp_support_keywords (
    id TEXT PRIMARY KEY NOT NULL,
    whatsapp_instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    keyword TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (whatsapp_instance_id, keyword)
);

CREATE TABLE whatsapp_escalated_conversations (
    id TEXT PRIMARY KEY NOT NULL,
    whatsapp_instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    conversation_id TEXT NOT NULL REFERENCES whatsapp_conversations (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    keyword TEXT,
    summary TEXT NOT NULL,
    note TEXT,
    created_at BIGINT NOT NULL,
    resolved_at BIGINT
);
CREATE UNIQUE INDEX whatsapp_escalated_conversations_open
    ON whatsapp_escalated_conversations (conversation_id) WHERE resolved_at IS NULL;
CREATE INDEX whatsapp_escalated_conversations_by_time
    ON whatsapp_escalated_conversations (whatsapp_instance_id, created_at, id);

CREATE TABLE prompt_generations (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX prompt_generations_of_user ON prompt_generations (user_id, created_at);

-- `period` is a month, as 2026-01.
CREATE TABLE usage_counters (
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    period TEXT NOT NULL,
    name TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (user_id, period, name)
);

CREATE TABLE audit_log (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT REFERENCES profiles (id) ON DELETE SET NULL,
    action TEXT NOT NULL,
    target TEXT,
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (at, id);

CREATE TABLE debug_log (
    id TEXT PRIMARY KEY NOT NULL,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    trace TEXT NOT NULL,
    step TEXT NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX debug_log_of_trace ON debug_log (instance_id, trace, at);
CREATE INDEX debug_log_by_time ON debug_log (at);

CREATE TABLE media (
    message_id TEXT PRIMARY KEY NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    mimetype TEXT,
    file_name TEXT,
    bytes BIGINT,
    sha256 BLOB,
    seconds BIGINT,
    width BIGINT,
    height BIGINT,
    stored_at BIGINT
);

-- Who has a message of a group, and how far.
CREATE TABLE message_status (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    participant TEXT NOT NULL,
    status BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (message_id, participant)
);
