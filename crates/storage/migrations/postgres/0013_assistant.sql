-- What of an assistant's configuration has no column of its own, as JSON.
ALTER TABLE whatsapp_ai_config DROP COLUMN limits;
ALTER TABLE whatsapp_ai_config DROP COLUMN pacing;
ALTER TABLE whatsapp_ai_config ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

CREATE TABLE ai_prompt_versions (
    id TEXT COLLATE "C" PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    system_prompt TEXT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (whatsapp_instance_id, number)
);

-- Conversations that an assistant is tried on again; `outcome` is that of the last time.
CREATE TABLE ai_cases (
    id TEXT COLLATE "C" PRIMARY KEY,
    whatsapp_instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    content TEXT NOT NULL,
    outcome TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX ai_cases_of_instance ON ai_cases (whatsapp_instance_id, id);

-- What a month (as 2026-01) cost, in millionths.
CREATE TABLE ai_spending (
    instance_id UUID NOT NULL REFERENCES whatsapp_instances (id) ON DELETE CASCADE,
    period TEXT COLLATE "C" NOT NULL,
    micros BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    PRIMARY KEY (instance_id, period)
);

-- Use is counted in `usage_counters`.
DROP TABLE prompt_generations;

-- As in the second migration: whoever else is let in sees own rows only.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    END LOOP;
    IF to_regprocedure('auth.uid()') IS NOT NULL THEN
        FOREACH name IN ARRAY ARRAY['ai_prompt_versions', 'ai_cases'] LOOP
            EXECUTE format('CREATE POLICY own ON %I FOR SELECT
                USING (whatsapp_instance_id IN (SELECT id FROM whatsapp_instances))', name);
        END LOOP;
        CREATE POLICY own ON ai_spending FOR SELECT
            USING (instance_id IN (SELECT id FROM whatsapp_instances));
    END IF;
END $$;
