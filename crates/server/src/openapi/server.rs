//! The server itself: whether it lives, its events live, its reference, and the functions of the first frontend.

use super::{Operation, op, shape};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Event",
        "{id: id, seq: integer, event: string, instance: string | null, data: any, destination?: string | null, \
          date_time: time, sender: string | null, server_url: string, apikey: null}",
    ),
    ("Health", "{status: string, version: string}"),
    (
        "Readiness",
        "{status: \"ready\" | \"stopping\" | \"not ready\", storage: \"ok\" | \"failed\"}",
    ),
    ("FunctionAnswer", "{success: boolean, data: any}"),
];

const TAG: &str = "Server";

pub(super) fn operations() -> Vec<Operation> {
    let events = "{instance?: string, events?: string, after?: id}";
    vec![
        op(TAG, "GET /healthz", "Whether the server lives").answers(200, "Health"),
        op(TAG, "GET /readyz", "Whether the server can work")
            .answers(200, "Readiness")
            .answers(503, "Readiness"),
        op(TAG, "GET /", "The welcome of Evolution API, for who does not accept text/html")
            .answers(200, "{status: integer, message: string, version: string, clientName: string}"),
        op(TAG, "GET /openapi.json", "This document").answers(200, "{openapi: string}").answers_nothing(304),
        op(TAG, "GET /metrics", "Numbers for Prometheus")
            .answers_with(200, "text/plain", shape("string"))
            .answers_with(401, "text/plain", shape("string")),
        op(TAG, "GET /api/events", "Events as they happen, as server-sent events")
            .query(events)
            .answers_with(200, "text/event-stream", shape("string"))
            .refuses(&[404]),
        op(TAG, "GET /api/ws", "Events as they happen, over a WebSocket")
            .query(events)
            .answers_nothing(101)
            .refuses(&[400, 404, 405, 426]),
        op(TAG, "POST /functions/v1/evolution-api", "One operation of the first frontend")
            .body(
                "{operation: \"CREATE_INSTANCE\" | \"CONNECT_INSTANCE\" | \"CHECK_STATUS\" | \
                   \"LOGOUT_INSTANCE\" | \"DELETE_INSTANCE\" | \"CALL_SETTINGS\", instanceName: string}",
            )
            .answers(200, "FunctionAnswer")
            .answers(201, "FunctionAnswer")
            .refuses(&[400, 404, 408, 409, 413, 415, 422]),
        op(TAG, "POST /functions/v1/whatsapp-webhook", "Its work is done inside the server now")
            .refuses(&[410]),
    ]
}
