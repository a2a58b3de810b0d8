//! Instances, their settings and their messages.

use super::{Operation, op, shape};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("Status", "\"created\" | \"connecting\" | \"connected\" | \"disconnected\""),
    (
        "Instance",
        "{instanceName: string, instanceId: id, status: Status, reason: string | null, \
          reasonMessage: string | null, number: string | null, lid: string | null, \
          profileName: string | null, lastConnected: time | null, createdAt: time, updatedAt: time}",
    ),
    ("OneInstance", "{instance: Instance}"),
    (
        "Code",
        "{instance: Instance, qrcode: string | null, qrcodeImage: string | null, \
          pairingCode: string | null, expiresAt: time | null}",
    ),
    ("Which", "{instanceName: string(1..64)}"),
    (
        "Sent",
        "{messageId: string, status: \"sent\" | \"pending\" | \"failed\", to: string, timestamp: time}",
    ),
    ("Retention", "{days: integer | null, messages: integer | null}"),
    (
        "Trace",
        "{messageId: string, message: {remoteJid: string, fromMe: boolean, messageType: string, \
          status: string, timestamp: time, storedAt: time, sentAt: time | null} | null, media: any, \
          receipts: {participant: string | null, status: string, at: time}[], \
          event: {id: id, seq: integer, event: string, at: time} | null, deliveries: Delivery[], \
          passedOver: {webhookId: id, reason: string}[], notes: {step: string, data: any, at: time}[]}",
    ),
];

const INSTANCES: &str = "Instances";
const MESSAGES: &str = "Messages";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        op(INSTANCES, "POST /api/whatsapp/connect", "Makes an instance if it is new, starts it, and waits for its code")
            .query("{wait?: integer(0..60)}")
            .body("{instanceName: string(1..64), number?: string}")
            .once()
            .answers(200, "Code")
            .refuses(&[502, 504]),
        op(INSTANCES, "GET /api/whatsapp/instances", "The caller's instances, in the order of their names")
            .query("{status?: Status, search?: string, limit?: integer(1..10000), cursor?: string}")
            .answers(200, "Instance[]"),
        op(INSTANCES, "GET /api/whatsapp/status/{name}", "One instance").answers(200, "OneInstance"),
        op(INSTANCES, "POST /api/whatsapp/restart", "Stops and starts the session; the link stays")
            .body("Which")
            .answers(200, "OneInstance")
            .refuses(&[404, 409]),
        op(INSTANCES, "POST /api/whatsapp/logout", "Unlinks the device; the instance stays")
            .body("Which")
            .answers(200, "OneInstance")
            .refuses(&[404, 502, 504]),
        op(INSTANCES, "DELETE /api/whatsapp/delete/{name}", "Unlinks the device and removes everything of the instance")
            .answers(200, "{instance: {instanceName: string, deleted: boolean}}")
            .refuses(&[502, 504]),
        op(INSTANCES, "GET /api/instances/{name}/settings", "How much of its messages an instance keeps")
            .answers(200, "{history: Retention}"),
        op(INSTANCES, "PATCH /api/instances/{name}/settings", "Changes what is named; null keeps everything")
            .body(
                "{history?: {days?: integer(1..36500) | null, messages?: integer(1..1000000000) | null}}",
            )
            .answers(200, "{history: Retention}"),
        op(INSTANCES, "POST /api/instances/{name}/token", "A new token of the instance, shown only here")
            .answers(201, "{token: string}"),
        op(MESSAGES, "POST /api/whatsapp/send", "Sends a text")
            .body(
                "{instanceName: string(1..64), number: string, message: string(1..65536), type?: \"text\", \
                  linkPreview?: boolean, takeOver?: boolean | null}",
            )
            .once()
            .answers(201, "Sent")
            .refuses(&[404, 502, 504]),
        op(MESSAGES, "GET /api/instances/{name}/messages/{id}/media", "The file of a message")
            .answers_with(200, "*/*", shape("bytes"))
            .answers_nothing(304)
            .refuses(&[409, 410, 502, 504]),
        op(MESSAGES, "GET /api/instances/{name}/messages/{id}/trace", "What happened to a message, and why")
            .answers(200, "Trace"),
    ]
}
