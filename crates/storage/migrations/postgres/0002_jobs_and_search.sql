-- Work to do after a cause that is stored already. Jobs of one instance, kind and ordering key are a chain;
-- `head` marks the oldest unfinished one of each, the only one that may be taken.
CREATE TABLE jobs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    ordering_key TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
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

-- A text as words without case and accents, cut where SQLite cuts.
CREATE FUNCTION folded(text TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(regexp_replace(
        regexp_replace(normalize(text, NFKD), '[\u0300-\u036F]', '', 'g') COLLATE "und-x-icu",
        '[^[:alnum:]]+', ' ', 'g'
    ) COLLATE "und-x-icu")
$$;

-- The words of a message. The instance is a word too: a search begins with those of its messages, however
-- many others there are.
CREATE FUNCTION message_words(instance UUID, words TEXT) RETURNS TSVECTOR
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ARRAY['i' || replace(instance::text, '-', '')])
        || to_tsvector('simple', folded(left(words, 20000)))
$$;
CREATE INDEX messages_words ON messages USING gin (message_words(instance_id, text))
    WHERE text IS NOT NULL;

-- Hosts that offer tables to browsers (Supabase) do so by row: each user sees their own, and what is not
-- named here nobody. The owner, as whom Flowcore connects, is not held back.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    END LOOP;
    IF to_regprocedure('auth.uid()') IS NOT NULL THEN
        CREATE POLICY own ON profiles FOR SELECT USING (id = auth.uid());
        CREATE POLICY own ON whatsapp_instances FOR SELECT USING (user_id = auth.uid());
    END IF;
    IF EXISTS (SELECT 1 FROM pg_publication WHERE pubname = 'supabase_realtime') THEN
        ALTER PUBLICATION supabase_realtime ADD TABLE whatsapp_instances;
    END IF;
END
$$;
