-- Work to do after a cause that is stored already. Jobs of one instance, kind and ordering key are a chain;
-- `head` marks the oldest unfinished one of each, the only one that may be taken.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    instance_id TEXT NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    head BOOLEAN NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (next_at) WHERE head;
CREATE INDEX jobs_chain ON jobs (instance_id, kind, ordering_key, number) WHERE state = 'waiting';

-- How much history an instance keeps; null keeps everything.
ALTER TABLE whatsapp_instances ADD COLUMN keep_days BIGINT;
ALTER TABLE whatsapp_instances ADD COLUMN keep_messages BIGINT;

-- The words of messages, without case and accents. The instance is a word too: a search begins with those of
-- its messages, however many others there are.
CREATE VIRTUAL TABLE message_search USING fts5 (
    instance, text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO message_search (rowid, instance, text)
    SELECT number, replace(instance_id, '-', ''), text FROM messages WHERE text IS NOT NULL;
CREATE TRIGGER message_search_insert AFTER INSERT ON messages WHEN new.text IS NOT NULL BEGIN
    INSERT INTO message_search (rowid, instance, text)
        VALUES (new.number, replace(new.instance_id, '-', ''), new.text);
END;
CREATE TRIGGER message_search_delete AFTER DELETE ON messages WHEN old.text IS NOT NULL BEGIN
    DELETE FROM message_search WHERE rowid = old.number;
END;
CREATE TRIGGER message_search_update AFTER UPDATE OF text ON messages BEGIN
    DELETE FROM message_search WHERE rowid = old.number;
    INSERT INTO message_search (rowid, instance, text)
        SELECT new.number, replace(new.instance_id, '-', ''), new.text WHERE new.text IS NOT NULL;
END;
