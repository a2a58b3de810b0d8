-- What became of a message after it was sent, and who sees one that is a status (a list, as JSON).
ALTER TABLE messages ADD COLUMN edited_at BIGINT;
ALTER TABLE messages ADD COLUMN revoked_at BIGINT;
ALTER TABLE messages ADD COLUMN recipients TEXT;
