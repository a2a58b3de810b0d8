-- What an owner looks for among the events of an instance, which are nearly all of messages. The condition is said again,
-- word for word, by the statements that use it (`storage/src/pulse.rs`).
CREATE INDEX events_of_note ON events (instance_id, position) WHERE kind IN ('connection.update', 'instance.create', 'webhook.update', 'conversation.escalated', 'conversation.resolved', 'assistant.failed');
