//! Webhooks of an instance and of all instances, and what became of their deliveries.

use super::{Operation, op};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("Chats", "{groups?: boolean, own?: boolean, status?: boolean}"),
    (
        "Webhook",
        "{id: id, url: string, enabled: boolean, events: string[], byEvents: boolean, \
          media: \"none\" | \"link\" | \"base64\", bytes: \"base64\" | \"objects\", chats: Chats, \
          headerNames: string[], state: \"active\" | \"paused\" | \"disabled\", \
          stateReason: string | null, failures: integer, pausedUntil: time | null, createdAt: time}",
    ),
    (
        "WebhookFields",
        "{url?: string, events?: string[], chats?: Chats, headers?: {*: string}, secret?: string, \
          byEvents?: boolean, media?: \"none\" | \"link\" | \"base64\", bytes?: \"base64\" | \"objects\", \
          enabled?: boolean}",
    ),
    ("Webhooks", "{data: Webhook[], nextCursor: null}"),
    (
        "WebhookTrial",
        "{status: integer | null, durationMs: integer, request: {method: string, url: string, \
          headers: any, body: any}, error?: string, answer?: string | null}",
    ),
    (
        "Attempt",
        "{at: time, status: integer | null, durationMs: integer, error: string | null, \
          answer?: string | null}",
    ),
    (
        "Delivery",
        "{id: id, webhookId: id, eventId: id, event: string, \
          status: \"pending\" | \"delivered\" | \"failed\" | \"dead\", attempts: Attempt[], \
          nextAttemptAt: time | null}",
    ),
];

const TAG: &str = "Webhooks";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        op(TAG, "GET /api/instances/{name}/webhooks", "The webhooks of an instance")
            .answers(200, "Webhooks"),
        op(TAG, "GET /api/webhooks", "The webhooks of all instances").answers(200, "Webhooks"),
        made(op(
            TAG,
            "POST /api/instances/{name}/webhooks",
            "Makes a webhook; its secret is shown only here",
        )),
        made(op(TAG, "POST /api/webhooks", "Makes a webhook of all instances")),
        op(TAG, "GET /api/instances/{name}/webhooks/{id}", "One webhook").answers(200, "Webhook"),
        op(TAG, "GET /api/webhooks/{id}", "One webhook of all instances").answers(200, "Webhook"),
        changed(op(
            TAG,
            "PUT /api/instances/{name}/webhooks/{id}",
            "Changes what is named, and ends a pause",
        )),
        changed(op(TAG, "PUT /api/webhooks/{id}", "Changes what is named, and ends a pause")),
        op(TAG, "DELETE /api/instances/{name}/webhooks/{id}", "Removes a webhook")
            .answers_nothing(204),
        op(TAG, "DELETE /api/webhooks/{id}", "Removes a webhook of all instances")
            .answers_nothing(204),
        op(TAG, "POST /api/instances/{name}/webhooks/{id}/test", "Posts a signed trial")
            .answers(200, "WebhookTrial"),
        op(TAG, "POST /api/webhooks/{id}/test", "Posts a signed trial")
            .answers(200, "WebhookTrial"),
        rotated(op(
            TAG,
            "POST /api/instances/{name}/webhooks/{id}/rotate",
            "A new secret; the old one signs for a day more",
        )),
        rotated(op(
            TAG,
            "POST /api/webhooks/{id}/rotate",
            "A new secret; the old one signs for a day more",
        )),
        op(TAG, "GET /api/instances/{name}/deliveries", "What was posted, newest first")
            .query(
                "{webhookId?: id, status?: \"pending\" | \"failed\" | \"delivered\" | \"dead\", \
                  limit?: integer(1..1000), cursor?: string}",
            )
            .answers(200, "{data: Delivery[], nextCursor: string | null}"),
        op(TAG, "DELETE /api/instances/{name}/deliveries", "Forgets what is finished")
            .query("{before?: time, webhookId?: id}")
            .answers(200, "{count: integer}"),
        op(TAG, "POST /api/instances/{name}/deliveries/{id}/retry", "Posts a delivery again")
            .answers_nothing(202)
            .refuses(&[409]),
        op(
            TAG,
            "POST /api/instances/{name}/replay",
            "Posts the events of a time again, under the same ids",
        )
        .body("{from: time, to?: time, webhookId?: id}")
        .answers(202, "{count: integer}")
        .refuses(&[409]),
    ]
}

fn made(operation: Operation) -> Operation {
    operation.body("WebhookFields").once().answers(201, "Webhook")
}

fn changed(operation: Operation) -> Operation {
    operation.body("WebhookFields").answers(200, "Webhook")
}

fn rotated(operation: Operation) -> Operation {
    operation.answers(200, "Webhook")
}
