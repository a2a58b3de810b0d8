-- An instance that was deleted while events of it were on their way: it is there for them only.
ALTER TABLE whatsapp_instances ADD COLUMN retired_at BIGINT;
DROP INDEX whatsapp_instances_name;
CREATE UNIQUE INDEX whatsapp_instances_name ON whatsapp_instances (lower(instance_name))
    WHERE retired_at IS NULL;
CREATE INDEX whatsapp_instances_retired ON whatsapp_instances (retired_at) WHERE retired_at IS NOT NULL;

-- Who looks through Supabase does not see it any more.
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_policies WHERE schemaname = current_schema()
               AND tablename = 'whatsapp_instances' AND policyname = 'own') THEN
        DROP POLICY own ON whatsapp_instances;
        CREATE POLICY own ON whatsapp_instances FOR SELECT
            USING (user_id = auth.uid() AND retired_at IS NULL);
    END IF;
END
$$;
