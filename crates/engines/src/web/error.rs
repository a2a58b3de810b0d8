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

/// What a failed look-up means.
pub(super) fn of_contact(error: &(dyn std::error::Error + 'static)) -> EngineError {
    ErrorChainExt::sources(error)
        .find_map(|source| source.downcast_ref::<IqError>())
        .map_or_else(|| EngineError::Failed(error.to_string()), of_iq)
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
