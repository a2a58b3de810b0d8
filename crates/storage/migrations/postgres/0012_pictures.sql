-- Where the pictures of people and groups are, as WhatsApp told last.
CREATE TABLE pictures (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    address TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    noted_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, address)
);
