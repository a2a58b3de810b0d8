-- The tables of SQLite, with PostgreSQL's own types where the first version of Flowcore had the table
-- (ids and times of profiles and instances, and what refers to them). Elsewhere ids are UUIDv7 as text and
-- times are milliseconds since the epoch in UTC. JSON is text, as it was written: `jsonb` refuses some
-- messages that WhatsApp carries. Text that is compared or ordered is so by its bytes.

-- What this database is: its mark, and the value that tells the right master key from a wrong one.
CREATE TABLE meta (
    key TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE profiles (
    id UUID PRIMARY KEY,
    role TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    key_prefix TEXT COLLATE "C",
    key_hash BYTEA NOT NULL UNIQUE,
    scopes TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id);

-- `csrf` is sealed.
CREATE TABLE login_sessions (
    token_hash BYTEA PRIMARY KEY NOT NULL,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    csrf BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_sessions_of_user ON login_sessions (user_id);

CREATE TABLE whatsapp_instances (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    instance_name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    status_reason TEXT COLLATE "C",
    phone TEXT COLLATE "C",
    jid TEXT COLLATE "C",
    lid TEXT COLLATE "C",
    profile_name TEXT,
    wanted BOOLEAN NOT NULL,
    last_connected TIMESTAMPTZ,
    groups_ignore BOOLEAN NOT NULL,
    read_messages BOOLEAN NOT NULL,
    event_seq BIGINT NOT NULL DEFAULT 0,
    owner_node TEXT COLLATE "C",
    owner_epoch BIGINT NOT NULL DEFAULT 0,
    owner_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX whatsapp_instances_name ON whatsapp_instances (lower(instance_name));
CREATE INDEX whatsapp_instances_of_user ON whatsapp_instances (user_id);

-- Protocol state. `key` may hold addresses; `value` is sealed.
CREATE TABLE session_entries (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    namespace TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    expires_at BIGINT,
    epoch BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, namespace, key)
);
CREATE INDEX session_entries_expiring ON session_entries (instance_id, namespace, expires_at)
    WHERE expires_at IS NOT NULL;

-- One person of one number's world; their addresses (phone, LID) are beside it.
CREATE TABLE contacts (
    id TEXT COLLATE "C" PRIMARY KEY,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    push_name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX contacts_of_instance ON contacts (instance_id);

CREATE TABLE contact_addresses (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    address TEXT COLLATE "C" NOT NULL,
    contact_id TEXT COLLATE "C" NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    PRIMARY KEY (instance_id, address)
);
CREATE INDEX contact_addresses_of_contact ON contact_addresses (contact_id);

-- `chat_key` is the contact's id for a conversation with a person (so that both addresses of a
-- person share one), and the address itself for groups, lists and channels.
CREATE TABLE chats (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    chat_key TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    unread BIGINT NOT NULL,
    last_message_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, chat_key)
);
CREATE INDEX chats_by_time ON chats (instance_id, last_message_at, chat_key);

-- `status` is the rank of a delivery status; `at` is the time that WhatsApp gives.
CREATE TABLE messages (
    id TEXT COLLATE "C" PRIMARY KEY,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    wa_id TEXT COLLATE "C" NOT NULL,
    chat_key TEXT COLLATE "C" NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    chat_alt TEXT COLLATE "C",
    sender TEXT COLLATE "C" NOT NULL,
    sender_alt TEXT COLLATE "C",
    from_me BOOLEAN NOT NULL,
    addressing TEXT COLLATE "C" NOT NULL,
    push_name TEXT,
    kind TEXT COLLATE "C" NOT NULL,
    content TEXT NOT NULL,
    text TEXT,
    context TEXT,
    proto BYTEA NOT NULL,
    status BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sent_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX messages_once ON messages (instance_id, wa_id, chat, sender);
CREATE INDEX messages_of_chat ON messages (instance_id, chat_key, at, id);
-- Accepted here and not yet acknowledged by WhatsApp (status 1 is PENDING).
CREATE INDEX messages_unacknowledged ON messages (instance_id, id) WHERE status = 1 AND from_me;

CREATE TABLE idempotency_keys (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    body_hash BYTEA NOT NULL,
    message_id TEXT COLLATE "C" NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, key)
);
CREATE INDEX idempotency_keys_of_message ON idempotency_keys (message_id);
CREATE INDEX idempotency_keys_expiring ON idempotency_keys (expires_at);

-- `position` is the order of commits over all instances, `seq` the order within one.
CREATE TABLE events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    ordering_key TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    deliveries BIGINT NOT NULL
);
CREATE INDEX events_of_instance ON events (instance_id, position);
CREATE INDEX events_by_time ON events (at);

-- Of one instance, or of all instances of a user. `secret` and `headers` are sealed.
CREATE TABLE webhook_endpoints (
    id TEXT COLLATE "C" PRIMARY KEY,
    instance_id UUID REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_id UUID REFERENCES profiles (id) ON DELETE CASCADE,
    url TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    events TEXT COLLATE "C" NOT NULL,
    headers BYTEA NOT NULL,
    by_events BOOLEAN NOT NULL,
    secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_of_instance ON webhook_endpoints (instance_id);
CREATE INDEX webhook_endpoints_of_user ON webhook_endpoints (user_id);

-- One event on its way to one endpoint. Deliveries of the same endpoint, instance and ordering key form a
-- chain; `head` marks the oldest unfinished one of each, the only one that may be tried.
CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event_id TEXT COLLATE "C" NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    ordering_key TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    head BOOLEAN NOT NULL,
    leased BOOLEAN NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX deliveries_due ON deliveries (next_at, webhook_id) WHERE head;
CREATE INDEX deliveries_chain ON deliveries (webhook_id, instance_id, ordering_key, seq)
    WHERE state = 'waiting';
CREATE INDEX deliveries_of_instance ON deliveries (instance_id, seq);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);

CREATE TABLE delivery_attempts (
    delivery_id TEXT COLLATE "C" NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT,
    duration_ms BIGINT NOT NULL,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
);
