//! Problems of conversations and of the people who help in them.

use super::Problem;
use axum::http::StatusCode;
use flowcore_gateway::ServiceError;

/// The problem of an error that is about conversations.
pub(super) fn problem(error: &ServiceError) -> Problem {
    match error {
        ServiceError::ConversationNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "conversation_not_found",
            "No such conversation",
            "There is no conversation of this id. GET /api/conversations for those there are.",
        ),
        ServiceError::EscalationNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "escalation_not_found",
            "No such escalation",
            "There is no escalation of this id. GET /api/escalations for those there are.",
        ),
        ServiceError::KeywordNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "keyword_not_found",
            "No such keyword",
            "This instance has no keyword of this id. GET the list for those it has.",
        ),
        ServiceError::ConversationOver => Problem::new(
            StatusCode::CONFLICT,
            "conversation_over",
            "The conversation is over",
            "This can't be done with a conversation that is over. The customer's next message begins \
             another.",
        ),
        ServiceError::ConversationTaken => Problem::new(
            StatusCode::CONFLICT,
            "conversation_taken",
            "Somebody else has it",
            "Somebody else has this conversation by now. Nothing was sent.",
        ),
        _ => Problem::internal(),
    }
}
