-- Ids are UUIDv7 as text, times are milliseconds since the epoch in UTC, JSON is text.

-- What this database is: its mark, and the value that tells the right master key from a wrong one.
CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
);

CREATE TABLE profiles (
    id TEXT PRIMARY KEY NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    key_prefix TEXT,
    key_hash BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id);

-- `csrf` is sealed.
CREATE TABLE login_sessions (
    token_hash BLOB PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    csrf BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_sessions_of_user ON login_sessions (user_id);

CREATE TABLE whatsapp_instances (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    instance_name TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    phone TEXT,
    jid TEXT,
    lid TEXT,
    profile_name TEXT,
    wanted BOOLEAN NOT NULL,
    last_connected BIGINT,
    groups_ignore BOOLEAN NOT NULL,
    read_messages BOOLEAN NOT NULL,
    event_seq BIGINT NOT NULL DEFAULT 0,
    owner_node TEXT,
    owner_epoch BIGINT NOT NULL DEFAULT 0,
    owner_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX whatsapp_instances_name ON whatsapp_instances (lower(instance_name));
CREATE INDEX whatsapp_instances_of_user ON whatsapp_instances (user_id);

-- Protocol state. `key` may hold addresses; `value` is sealed.
CREATE TABLE session_entries (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    expires_at BIGINT,
    epoch BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, namespace, key)
) WITHOUT ROWID;
CREATE INDEX session_entries_expiring ON session_entries (instance_id, namespace, expires_at)
    WHERE expires_at IS NOT NULL;

-- One person of one number's world; their addresses (phone, LID) are beside it.
CREATE TABLE contacts (
    id TEXT PRIMARY KEY NOT NULL,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    push_name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX contacts_of_instance ON contacts (instance_id);

CREATE TABLE contact_addresses (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    PRIMARY KEY (instance_id, address)
) WITHOUT ROWID;
CREATE INDEX contact_addresses_of_contact ON contact_addresses (contact_id);

-- `chat_key` is the contact's id for a conversation with a person (so that both addresses of a
-- person share one), and the address itself for groups, lists and channels.
CREATE TABLE chats (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    chat_key TEXT NOT NULL,
    address TEXT NOT NULL,
    unread BIGINT NOT NULL,
    last_message_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, chat_key)
) WITHOUT ROWID;
CREATE INDEX chats_by_time ON chats (instance_id, last_message_at, chat_key);

-- `number` ties a message to its words (see the next migration), and must not change when the file is
-- compacted. `status` is the rank of a delivery status; `at` is the time that WhatsApp gives.
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    wa_id TEXT NOT NULL,
    chat_key TEXT NOT NULL,
    chat TEXT NOT NULL,
    chat_alt TEXT,
    sender TEXT NOT NULL,
    sender_alt TEXT,
    from_me BOOLEAN NOT NULL,
    addressing TEXT NOT NULL,
    push_name TEXT,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    text TEXT,
    context TEXT,
    proto BLOB NOT NULL,
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
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, key)
);
CREATE INDEX idempotency_keys_of_message ON idempotency_keys (message_id);
CREATE INDEX idempotency_keys_expiring ON idempotency_keys (expires_at);

-- `position` is the order of commits over all instances, `seq` the order within one.
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    deliveries BIGINT NOT NULL
);
CREATE INDEX events_of_instance ON events (instance_id, position);
CREATE INDEX events_by_time ON events (at);

-- Of one instance, or of all instances of a user. `secret` and `headers` are sealed.
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY NOT NULL,
    instance_id TEXT REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES profiles (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    events TEXT NOT NULL,
    headers BLOB NOT NULL,
    by_events BOOLEAN NOT NULL,
    secret BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_of_instance ON webhook_endpoints (instance_id);
CREATE INDEX webhook_endpoints_of_user ON webhook_endpoints (user_id);

-- One event on its way to one endpoint. Deliveries of the same endpoint, instance and ordering key form a
-- chain; `head` marks the oldest unfinished one of each, the only one that may be tried.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    webhook_id TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    ordering_key TEXT NOT NULL,
    state TEXT NOT NULL,
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
    delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT,
    duration_ms BIGINT NOT NULL,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;
