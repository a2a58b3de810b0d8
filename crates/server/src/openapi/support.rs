//! Conversations with customers, and the people who help in them.

use super::{Operation, op, shape};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("Owner", "\"ai\" | \"human\" | \"paused\" | \"closed\""),
    ("ConversationStatus", "\"active\" | \"expired\" | \"escalated\""),
    ("Customer", "{phone: string | null, lid: string | null, name: string | null}"),
    (
        "Conversation",
        "{id: id, instanceName: string, contact: Customer, status: ConversationStatus, owner: Owner, \
          lastMessageAt: time, createdAt: time, updatedAt: time}",
    ),
    (
        "ConversationWithTransitions",
        "{id: id, instanceName: string, contact: Customer, status: ConversationStatus, owner: Owner, \
          lastMessageAt: time, createdAt: time, updatedAt: time, transitions: {version: integer, \
          step: string, fromOwner: Owner, toOwner: Owner, fromStatus: ConversationStatus, \
          toStatus: ConversationStatus, cause: string, at: time}[]}",
    ),
    (
        "Said",
        "{id: id, role: \"user\" | \"assistant\" | \"human\", content: string, metadata: any, \
          createdAt: time}",
    ),
    (
        "Escalation",
        "{id: id, instanceName: string, conversationId: id, contact: Customer, reason: string, \
          keyword: string | null, summary: string, note: string | null, alert: string | null, \
          owner: Owner, createdAt: time, firstAnswerAt: time | null, waitingSeconds: integer, \
          resolvedAt: time | null, resolvedBy: string | null}",
    ),
    ("SupportPhone", "{number: string, name?: string}"),
    (
        "BusinessHours",
        "{timeZone: string, weekly: {*: any}, holidays?: string[], message?: string}",
    ),
    (
        "Support",
        "{isActive: boolean, phones: SupportPhone[], customerTemplate: string, \
          supportTemplate: string, businessHours: BusinessHours | null, \
          autoReturnMinutes: integer | null}",
    ),
    (
        "SupportFields",
        "{isActive?: boolean, phones?: SupportPhone[], customerTemplate?: string, \
          supportTemplate?: string, businessHours?: BusinessHours | null, \
          autoReturnMinutes?: integer(1..43200) | null}",
    ),
    ("Keyword", "{id: id, keyword: string, createdAt: time}"),
];

const TAG: &str = "Support";
const PAGES: &str = "{limit?: integer(1..500), cursor?: string}";
const ESCALATIONS: &str = "{instanceName?: string(1..64), status?: \"open\" | \"resolved\" | \"all\", \
     reason?: string, from?: time, to?: time, limit?: integer(1..1000), cursor?: string}";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = settings();
    all.extend(escalations());
    all.extend(conversations());
    all
}

fn settings() -> Vec<Operation> {
    vec![
        op(TAG, "GET /api/instances/{name}/support", "How customers are handed over to people")
            .answers(200, "Support"),
        op(TAG, "PUT /api/instances/{name}/support", "Changes what is named")
            .body("SupportFields")
            .answers(200, "Support")
            .refuses(&[403]),
        op(TAG, "GET /api/instances/{name}/support/keywords", "What a customer says for a person")
            .answers(200, "{data: Keyword[], nextCursor: null}"),
        op(TAG, "POST /api/instances/{name}/support/keywords", "Adds a keyword")
            .body("{keyword: string(1..100)}")
            .answers(201, "{id: id, keyword: string}"),
        op(
            TAG,
            "POST /api/instances/{name}/support/keywords/test",
            "Whether a message would call a person",
        )
        .body("{message: string}")
        .answers(200, "{escalate: boolean, keyword: string | null}"),
        op(TAG, "DELETE /api/instances/{name}/support/keywords/{id}", "Deletes a keyword")
            .answers_nothing(204),
    ]
}

fn escalations() -> Vec<Operation> {
    vec![
        op(TAG, "GET /api/escalations", "Customers who wait for a person, or did")
            .query(ESCALATIONS)
            .answers(200, "{data: Escalation[], nextCursor: string | null}")
            .refuses(&[404]),
        op(TAG, "GET /api/escalations/export", "The same as a table for spreadsheets")
            .query(ESCALATIONS)
            .answers_with(200, "text/csv", shape("string"))
            .refuses(&[404]),
        op(TAG, "GET /api/escalations/{id}", "One of them").answers(200, "Escalation"),
        op(TAG, "POST /api/escalations/{id}/resolve", "The person is done")
            .body("{note?: string(0..4000) | null, handBack?: boolean | null}")
            .or_none()
            .answers(200, "Escalation")
            .refuses(&[409]),
        op(TAG, "POST /api/escalations/{id}/reopen", "The person was not done")
            .answers(200, "Escalation")
            .refuses(&[409]),
    ]
}

fn conversations() -> Vec<Operation> {
    vec![
        op(TAG, "GET /api/conversations", "Conversations, the last active first")
            .query(
                "{instanceName?: string(1..64), status?: ConversationStatus, owner?: Owner, \
                 limit?: integer(1..500), cursor?: string}",
            )
            .answers(200, "{data: Conversation[], nextCursor: string | null}")
            .refuses(&[404]),
        op(TAG, "GET /api/conversations/{id}", "One, with every change of who answers")
            .answers(200, "ConversationWithTransitions"),
        op(TAG, "GET /api/conversations/{id}/messages", "What was said, the latest first")
            .query(PAGES)
            .answers(200, "{data: Said[], nextCursor: string | null}"),
        op(TAG, "POST /api/conversations/{id}/messages", "A person answers, and has it")
            .body("{message: string(1..65536)}")
            .answers(201, "Sent")
            .refuses(&[409, 502, 504]),
        op(TAG, "POST /api/conversations/{id}/takeover", "A person has it")
            .answers(200, "Conversation")
            .refuses(&[409]),
        op(TAG, "POST /api/conversations/{id}/release", "The assistant has it")
            .answers(200, "Conversation")
            .refuses(&[409]),
        op(TAG, "POST /api/conversations/{id}/escalate", "The customer is handed over")
            .answers(200, "Conversation")
            .refuses(&[409]),
    ]
}
