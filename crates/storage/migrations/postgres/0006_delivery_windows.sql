-- Only so many heads of an endpoint are due at once; the others are parked. This finds both kinds of each.
CREATE INDEX deliveries_window ON deliveries (webhook_id, next_at) WHERE head;

-- When a delivery was put on its way or asked for again, and how often it had been tried before that.
ALTER TABLE deliveries ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN attempts_before BIGINT NOT NULL DEFAULT 0;
UPDATE deliveries SET since = (SELECT events.at FROM events WHERE events.id = deliveries.event_id)
    WHERE state = 'waiting';
