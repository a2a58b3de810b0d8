//! Why a model gives no answer, as problems. What the provider said is not in them.

use super::Problem;
use axum::http::StatusCode;
use flowcore_gateway::{ModelError, ServiceError};

/// What is not there or can't be of an assistant.
pub(super) fn problem(error: ServiceError) -> Problem {
    match error {
        ServiceError::InvalidAssistant(fault) => Problem::field(
            "invalid_assistant",
            "The assistant can't be like that",
            fault.field,
            fault.rule,
        ),
        ServiceError::VersionNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "version_not_found",
            "No such version",
            "The prompt never had a version of this id. GET the list for those it had.",
        ),
        ServiceError::CaseNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "case_not_found",
            "No such case",
            "This instance has no case of this id. GET the list for those it has.",
        ),
        _ => Problem::internal(),
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        let (title, detail) = words(&error);
        let status = match &error {
            ModelError::NoProvider | ModelError::NoModel | ModelError::NoTranscriber => {
                StatusCode::CONFLICT
            }
            ModelError::UrlNotAllowed(why) => {
                return Self::field(error.code(), title, "baseUrl", why.as_str());
            }
            ModelError::Busy { .. } | ModelError::Stopped | ModelError::NoDocuments => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ModelError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        let mut problem = Self::new(status, error.code(), title, detail);
        if let ModelError::Busy { retry_after: Some(wait) } = error {
            problem.retry_after = u32::try_from(wait.as_secs()).ok();
        }
        problem
    }
}

fn words(error: &ModelError) -> (&'static str, &'static str) {
    match error {
        ModelError::NoProvider => (
            "No provider",
            "This server has no model of its own. Set provider, model and apiKey of the assistant, or \
             FLOWCORE_AI_PROVIDER of the server.",
        ),
        ModelError::NoModel => ("No model", "Set the name of the model that should answer."),
        ModelError::NoTranscriber => (
            "No transcriber",
            "Nobody writes down what is spoken: this provider does not, and the server has no other. Set \
             FLOWCORE_AI_TRANSCRIPTION_URL, or a provider that does.",
        ),
        ModelError::UrlNotAllowed(_) => ("This address can't be used", ""),
        ModelError::KeyRefused => (
            "The provider refuses the key",
            "The provider does not take the key of this assistant. Give it another apiKey.",
        ),
        ModelError::Refused(_) => (
            "The provider refuses",
            "The provider does not take the request. Check the name of the model, and whether it takes \
             this length, temperature or picture.",
        ),
        ModelError::Busy { .. } => (
            "The provider is asked too much",
            "The provider answers no more requests of this key for now. Wait, or raise its limits there.",
        ),
        ModelError::TimedOut => (
            "The provider takes too long",
            "The provider did not answer in time. Try again, or choose a smaller model.",
        ),
        ModelError::Unreachable => (
            "The provider can't be reached",
            "Nobody answers at the provider's address. Check baseUrl and whether it runs.",
        ),
        ModelError::Down => (
            "The provider does not work",
            "The provider says that it has trouble. Try again later.",
        ),
        ModelError::Broken => (
            "The provider's answer can't be read",
            "The answer broke off or is of another kind. Check that baseUrl speaks the provider's wire.",
        ),
        ModelError::NoDocuments => (
            "The documents can't be searched",
            "The storage takes no questions at the moment. Try again in a few seconds.",
        ),
        ModelError::Stopped => {
            ("Stopped", "The server stops or restarts. Try again in a few seconds.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_failure_of_a_model_has_its_problem() {
        let all = [
            ModelError::NoProvider,
            ModelError::NoModel,
            ModelError::NoTranscriber,
            ModelError::UrlNotAllowed("it leads to a private address".into()),
            ModelError::KeyRefused,
            ModelError::Refused(404),
            ModelError::Busy { retry_after: Some(Duration::from_secs(7)) },
            ModelError::TimedOut,
            ModelError::Unreachable,
            ModelError::Down,
            ModelError::Broken,
            ModelError::NoDocuments,
            ModelError::Stopped,
        ];
        let table: Vec<_> = all
            .into_iter()
            .map(|error| {
                let problem = Problem::from(error);
                let body = problem.body(None, None);
                serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")
            })
            .collect();
        insta::assert_json_snapshot!("models", table);
    }
}
