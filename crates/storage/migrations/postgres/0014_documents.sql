-- What an upload holds stays until it was read: the passages are made of it, then it goes. `source` is the page
-- that a document is fetched from.
ALTER TABLE documents ADD COLUMN source TEXT;
ALTER TABLE documents ADD COLUMN passages BIGINT NOT NULL DEFAULT 0;
CREATE TABLE document_contents (
    document_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    content BYTEA NOT NULL
);
CREATE INDEX documents_unread ON documents (id) WHERE status IN ('queued', 'reading');

-- As in the second migration: whoever else is let in sees nothing of it.
ALTER TABLE document_contents ENABLE ROW LEVEL SECURITY;
