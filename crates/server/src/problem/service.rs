//! The table from the services' errors to problems.

use super::Problem;
use axum::http::StatusCode;
use flowcore_domain::instance::{Reason, Status};
use flowcore_gateway::ServiceError;

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::InstanceNotFound => Self::new(
                StatusCode::NOT_FOUND,
                "instance_not_found",
                "No such instance",
                "There is no instance of this name. POST /api/whatsapp/connect makes one.",
            ),
            ServiceError::NameTaken => Self::new(
                StatusCode::CONFLICT,
                "instance_name_taken",
                "The name is taken",
                "Another user has an instance of this name. Choose another one.",
            ),
            ServiceError::NotConnected { status, reason } => not_connected(status, reason),
            ServiceError::WebhookNotFound => Self::new(
                StatusCode::NOT_FOUND,
                "webhook_not_found",
                "No such webhook",
                "This instance has no webhook of this id. GET the list for those it has.",
            ),
            ServiceError::DeliveryNotFound => Self::new(
                StatusCode::NOT_FOUND,
                "delivery_not_found",
                "No such delivery",
                "This instance has no delivery of this id. GET the list for those it has.",
            ),
            ServiceError::DocumentNotFound => Self::new(
                StatusCode::NOT_FOUND,
                "document_not_found",
                "No such document",
                "There is no document of this id here. GET /api/documents lists those there are.",
            ),
            ServiceError::WebhookDisabled => Self::new(
                StatusCode::CONFLICT,
                "webhook_disabled",
                "The webhook is switched off",
                "Nothing is posted to a webhook that is switched off. PUT {\"enabled\": true} first.",
            ),
            error @ (ServiceError::ConversationNotFound
            | ServiceError::EscalationNotFound
            | ServiceError::KeywordNotFound
            | ServiceError::ConversationOver
            | ServiceError::ConversationTaken) => super::support::problem(&error),
            error @ (ServiceError::VersionNotFound
            | ServiceError::CaseNotFound
            | ServiceError::InvalidAssistant(_)) => super::assistant::problem(error),
            ServiceError::Model(error) => error.into(),
            ServiceError::Forbidden => Self::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Not allowed",
                "This key may not do that. Use one that has the right, or ask the administrator.",
            ),
            ServiceError::OverQuota(over) => super::account::over_quota(over),
            ServiceError::Account(error) => error.into(),
            ServiceError::ServerFull(what) => server_full(what),
            ServiceError::IdempotencyConflict => idempotency_conflict(),
            ServiceError::LimitReached { what, limit } => Self::new(
                StatusCode::FORBIDDEN,
                format!("{}_limit_reached", what.trim_end_matches('s')),
                "Limit reached",
                format!(
                    "There are {limit} {what}, the most allowed. Delete one, or ask for a higher limit."
                ),
            ),
            other => unusable(other),
        }
    }
}

/// What was sent can't be used, or the other side can't be had.
fn unusable(error: ServiceError) -> Problem {
    match error {
        ServiceError::NumberNotOnWhatsApp { .. } => Problem::field(
            "number_not_on_whatsapp",
            "Not on WhatsApp",
            "number",
            "this number is not on WhatsApp; check the country code and the digits",
        ),
        ServiceError::InvalidNumber(error) => {
            Problem::field("invalid_number", "Not a number", "number", error.to_string())
        }
        ServiceError::EmptyText => {
            Problem::field("empty_message", "Nothing to send", "message", "write a text to send")
        }
        ServiceError::TextTooLong { limit } => Problem::field(
            "message_too_long",
            "The message is too long",
            "message",
            format!("a message has at most {limit} characters; send it in parts"),
        ),
        ServiceError::MessageNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "message_not_found",
            "No such message",
            "This instance has no message of this id.",
        ),
        ServiceError::Invalid(why) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
            "It can't be used",
            why,
        ),
        ServiceError::MediaUnreachable(why) => {
            Problem::field("media_unreachable", "The file can't be fetched", "url", why)
        }
        ServiceError::MediaTooLong { limit } => Problem::field(
            "media_too_long",
            "The file is too long",
            "media",
            format!("a file has at most {limit} bytes"),
        ),
        ServiceError::MediaGone => Problem::new(
            StatusCode::GONE,
            "media_gone",
            "WhatsApp has the file no more",
            "The phone that sent it was asked and does not bring it again.",
        ),
        ServiceError::InvalidHeader(error) => Problem::field(
            "invalid_header",
            "Not a header that can be sent",
            "headers",
            error.to_string(),
        ),
        ServiceError::UrlNotAllowed(why) => {
            Problem::field("url_not_allowed", "This address can't be used", "url", why)
        }
        ServiceError::Unavailable(why) => {
            tracing::warn!(%why, "a request was turned away");
            unavailable()
        }
        ServiceError::TimedOut => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timed_out",
            "WhatsApp did not answer in time",
            "WhatsApp took too long. Try again; with an Idempotency-Key nothing is done twice.",
        ),
        ServiceError::Rejected { code } => Problem::new(
            StatusCode::BAD_GATEWAY,
            "rejected_by_whatsapp",
            "WhatsApp refused it",
            format!("WhatsApp refused this with code {code}. Trying again at once won't help."),
        ),
        other => {
            tracing::error!(error = %other, "a request failed");
            Problem::internal()
        }
    }
}

/// Same key, another body.
pub(crate) fn idempotency_conflict() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency_conflict",
        "The key was used for something else",
        "This Idempotency-Key came with another body in the last 24 hours. Use a new key for a new \
         request.",
    )
}

fn unavailable() -> Problem {
    let mut problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Not available at the moment",
        "The server can't do this right now. Try again in a few seconds.",
    );
    problem.retry_after = Some(2);
    problem
}

/// The limit is the operator's: who calls can only wait, or tell them.
fn server_full(what: &str) -> Problem {
    let mut problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "server_full",
        "The server is full",
        format!(
            "This server has no room for another number ({what}). Delete one that is not needed, or \
             ask its operator for room."
        ),
    );
    problem.retry_after = Some(60);
    problem
}

fn not_connected(status: Status, reason: Option<Reason>) -> Problem {
    let what = match (status, reason) {
        (_, Some(reason)) => reason.sentence(),
        (Status::Created, None) => "It was never linked. Connect it and scan the QR code.",
        (Status::Connecting, None) => {
            "Wait until it is connected; GET /api/whatsapp/status/{instanceName} tells."
        }
        (_, None) => "Restart it, or connect it again.",
    };
    Problem::new(
        StatusCode::CONFLICT,
        "instance_not_connected",
        "The instance is not connected",
        format!("The instance is {}. {what}", status.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcore_domain::clock::Millis;
    use flowcore_domain::jid::NumberError;
    use flowcore_domain::quota::{OverQuota, Quota};

    #[test]
    fn every_error_of_the_services_has_its_problem() {
        let disconnected = |reason| ServiceError::NotConnected {
            status: Status::Disconnected,
            reason: Some(reason),
        };
        let all = [
            ServiceError::InstanceNotFound,
            ServiceError::NameTaken,
            disconnected(Reason::LoggedOut),
            disconnected(Reason::UntrustedServer),
            ServiceError::NotConnected { status: Status::Created, reason: None },
            ServiceError::NotConnected { status: Status::Connecting, reason: None },
            ServiceError::NumberNotOnWhatsApp { number: "5511999999999".into() },
            ServiceError::InvalidNumber(NumberError::LeadingZero),
            ServiceError::EmptyText,
            ServiceError::TextTooLong { limit: 65_536 },
            ServiceError::IdempotencyConflict,
            ServiceError::UrlNotAllowed("the address is a private one".into()),
            ServiceError::InvalidHeader(flowcore_domain::webhook::HeaderError::TooMany),
            ServiceError::WebhookNotFound,
            ServiceError::MessageNotFound,
            ServiceError::VersionNotFound,
            ServiceError::CaseNotFound,
            ServiceError::InvalidAssistant(flowcore_domain::assistant::ConfigFault {
                field: "temperature",
                rule: "temperature is a number from 0 to 2".into(),
            }),
            ServiceError::DeliveryNotFound,
            ServiceError::DocumentNotFound,
            ServiceError::WebhookDisabled,
            ServiceError::ConversationNotFound,
            ServiceError::EscalationNotFound,
            ServiceError::KeywordNotFound,
            ServiceError::ConversationOver,
            ServiceError::ConversationTaken,
            ServiceError::LimitReached { what: "instances", limit: 5 },
            ServiceError::OverQuota(OverQuota {
                quota: Quota::PromptsPerMonth,
                limit: 10,
                used: 10,
                renews: Some(Millis(1_769_904_000_000)),
            }),
            ServiceError::OverQuota(OverQuota {
                quota: Quota::Instances,
                limit: 3,
                used: 3,
                renews: None,
            }),
            ServiceError::ServerFull("instances"),
            ServiceError::Forbidden,
            ServiceError::Unavailable("the database is locked".into()),
            ServiceError::TimedOut,
            ServiceError::Rejected { code: 463 },
            ServiceError::Internal("table messages is gone".into()),
        ];
        let table: Vec<_> = all
            .into_iter()
            .map(|error| {
                let problem = Problem::from(error);
                let body: serde_json::Value =
                    serde_json::from_slice(&problem.body(None, None)).expect("JSON");
                body
            })
            .collect();
        let text = serde_json::to_string(&table).expect("JSON");
        assert!(!text.contains("5511999999999"), "numbers stay out of problems");
        assert!(!text.contains("table messages"), "internals stay inside");
        insta::assert_json_snapshot!("problems", table);
    }
}
