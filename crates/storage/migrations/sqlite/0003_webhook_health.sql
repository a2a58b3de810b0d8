-- What an endpoint's last attempts say about it. `previous_secret` is sealed; it signs until
-- `previous_until`.
ALTER TABLE webhook_endpoints ADD COLUMN previous_secret BLOB;
ALTER TABLE webhook_endpoints ADD COLUMN previous_until BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_endpoints ADD COLUMN failing_since BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN paused_until BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN off_because TEXT;

-- The beginning of what the receiver answered.
ALTER TABLE delivery_attempts ADD COLUMN answer TEXT;

-- Which delivery tries a paused endpoint.
CREATE INDEX deliveries_heads ON deliveries (webhook_id, attempts, seq) WHERE head;

-- What an endpoint gets of files (none, link, base64), and how bytes are written (base64, objects).
ALTER TABLE webhook_endpoints ADD COLUMN media TEXT NOT NULL DEFAULT 'none';
ALTER TABLE webhook_endpoints ADD COLUMN bytes TEXT NOT NULL DEFAULT 'base64';
