-- What the owner of an instance can switch, the key of its own, how it goes out, and what Socket.IO tells of it.
-- `token` and `proxy` are sealed; a token is found by its SHA-256.
ALTER TABLE whatsapp_instances ADD COLUMN always_online BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE whatsapp_instances ADD COLUMN read_status BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE whatsapp_instances ADD COLUMN sync_full_history BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE whatsapp_instances ADD COLUMN disconnected_at TIMESTAMPTZ;
ALTER TABLE whatsapp_instances ADD COLUMN token_hash BYTEA;
ALTER TABLE whatsapp_instances ADD COLUMN token BYTEA;
ALTER TABLE whatsapp_instances ADD COLUMN proxy BYTEA;
ALTER TABLE whatsapp_instances ADD COLUMN live_selection TEXT COLLATE "C";
CREATE UNIQUE INDEX whatsapp_instances_token ON whatsapp_instances (token_hash)
    WHERE token_hash IS NOT NULL;

-- The one endpoint that clients of Evolution set and find without an id.
ALTER TABLE webhook_endpoints ADD COLUMN evolution BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE webhook_endpoints ADD COLUMN updated_at BIGINT;
CREATE UNIQUE INDEX webhook_endpoints_evolution ON webhook_endpoints (instance_id) WHERE evolution;

-- When a conversation began.
ALTER TABLE chats ADD COLUMN created_at BIGINT;
