//! The client's errors in our words: can it be repeated, was it refused?

use flowcore_domain::engine::EngineError;
use whatsapp_rust::pair_code::PairError;
use whatsapp_rust::{ClientError, ErrorChainExt, IqError, SendError};

/// What a failed send means.
pub(super) fn of_send(error: &SendError) -> EngineError {
    match error {
        SendError::NotLoggedIn => EngineError::NotConnected,
        SendError::Client(client) => of_client(client),
        SendError::Iq(iq) => of_iq(iq),
        SendError::InvalidRequest(what) => EngineError::Failed(what.clone()),
        other => EngineError::Failed(other.to_string()),
    }
}

/// What another failure of the client means, by the cause that it names.
pub(super) fn of_any(error: &(dyn std::error::Error + 'static)) -> EngineError {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(iq) = cause.downcast_ref::<IqError>() {
            return of_iq(iq);
        }
        if let Some(client) = cause.downcast_ref::<ClientError>() {
            return of_client(client);
        }
        next = cause.source();
    }
    EngineError::Failed(error.to_string())
}

/// The same for an error without a type.
pub(super) fn of_anyhow(error: &anyhow::Error) -> EngineError {
    of_any(error.as_ref())
}

/// What a file that could not be moved means.
pub(super) fn of_transfer(error: &anyhow::Error) -> EngineError {
    let cause: &(dyn std::error::Error + Send + Sync + 'static) = error.as_ref();
    match cause.http_status() {
        Some(401 | 403 | 404 | 410) => EngineError::Gone,
        Some(_) => EngineError::Interrupted,
        None => match of_anyhow(error) {
            EngineError::Failed(_) => EngineError::Interrupted,
            known => known,
        },
    }
}

/// What a pairing code that was not given means.
pub(super) fn of_pairing(error: &PairError) -> EngineError {
    match error {
        PairError::RequestFailed(iq) => of_iq(iq),
        other => EngineError::Failed(other.to_string()),
    }
}

fn of_client(error: &ClientError) -> EngineError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn => EngineError::NotConnected,
        ClientError::Iq(iq) => of_iq(iq),
        // The socket broke in the middle of a write: whether it arrived is unknown.
        _ => EngineError::Interrupted,
    }
}

fn of_iq(error: &IqError) -> EngineError {
    match error {
        IqError::NotConnected | IqError::ClientState(_) => EngineError::NotConnected,
        IqError::ServerError { code, .. } => EngineError::Rejected { code: *code },
        IqError::ParseError(_) | IqError::EncodeError(_) => EngineError::Failed(error.to_string()),
        _ => EngineError::Interrupted,
    }
}
