-- What an upload holds stays until it was read: the passages are made of it, then it goes. `source` is the page
-- that a document is fetched from.
ALTER TABLE documents ADD COLUMN source TEXT;
ALTER TABLE documents ADD COLUMN passages BIGINT NOT NULL DEFAULT 0;
CREATE TABLE document_contents (
    document_id TEXT PRIMARY KEY NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    content BLOB NOT NULL
);
CREATE INDEX documents_unread ON documents (id) WHERE status IN ('queued', 'reading');
