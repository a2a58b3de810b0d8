-- Where the pictures of people and groups are, as WhatsApp told last.
CREATE TABLE pictures (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    url TEXT NOT NULL,
    noted_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, address)
) WITHOUT ROWID;
