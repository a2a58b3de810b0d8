-- What the owner's conversations can be labelled with, by WhatsApp's own ids.
CREATE TABLE labels (
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    label_id TEXT NOT NULL,
    name TEXT NOT NULL,
    color BIGINT NOT NULL,
    predefined TEXT,
    PRIMARY KEY (instance_id, label_id)
) WITHOUT ROWID;
