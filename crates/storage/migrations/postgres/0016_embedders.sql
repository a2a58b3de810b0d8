-- Who gives an account's passages their vectors, where it is not whom the operator chose. The key is sealed; the
-- fingerprint tells vectors apart that must not be compared, and is empty where there are to be none.
CREATE TABLE document_embedders (
    user_id UUID PRIMARY KEY NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    provider TEXT COLLATE "C" NOT NULL,
    base_url TEXT,
    model TEXT,
    api_key BYTEA,
    fingerprint TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Of which embedder all passages of a document have vectors.
ALTER TABLE documents ADD COLUMN embedded_by TEXT COLLATE "C";

-- As in the second migration: whoever else is let in sees nothing of it.
ALTER TABLE document_embedders ENABLE ROW LEVEL SECURITY;

-- Whether a file is there already.
CREATE INDEX documents_by_content ON documents (user_id, content_hash);
