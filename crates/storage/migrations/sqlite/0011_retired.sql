-- An instance that was deleted while events of it were on their way: it is there for them only.
ALTER TABLE whatsapp_instances ADD COLUMN retired_at BIGINT;
DROP INDEX whatsapp_instances_name;
CREATE UNIQUE INDEX whatsapp_instances_name ON whatsapp_instances (lower(instance_name))
    WHERE retired_at IS NULL;
CREATE INDEX whatsapp_instances_retired ON whatsapp_instances (retired_at) WHERE retired_at IS NOT NULL;
