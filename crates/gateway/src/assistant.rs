//! The assistant: who it is, which model speaks for it, and how its owner tries it.
//!
//! [`model`] is the way to a language model, [`transcription`] the one to who writes down what was spoken.
//! [`composing`] makes an answer from a question: passages, prompt, model, filter. The playground and the
//! cases use it, and so does [`answering`], so that what is tried is what is sent.

pub(crate) mod addressed;
pub(crate) mod answering;
mod attempt;
mod cases;
mod composing;
mod generation;
mod knowledge;
mod matter;
pub(crate) mod model;
mod playground;
mod settings;
mod stream;
mod summary;
mod target;
mod telling;
mod transcription;
mod wire;

pub use cases::{CaseOutcome, CaseTurn, Expectation, MAX_CASES, NewCase};
pub use generation::Generated;
pub use model::ModelError;
pub use playground::{Draft, Rehearsal, RehearsalEnd, Told};
pub use settings::{AssistantView, ModelCheck};
pub use target::ModelDefaults;
pub use transcription::{MAX_AUDIO, Transcript};

use crate::clients::AllowPrivate;
use crate::error::StartError;
use crate::{Documents, Instances, Shared};
use model::Models;
use std::sync::Arc;

/// The assistants of all instances.
#[derive(Debug, Clone)]
pub struct Assistant {
    shared: Arc<Shared>,
    instances: Instances,
    models: Arc<Models>,
    defaults: Arc<ModelDefaults>,
    allow: AllowPrivate,
    documents: Documents,
}

impl Assistant {
    pub(crate) fn new(
        shared: Arc<Shared>,
        defaults: ModelDefaults,
        allow: AllowPrivate,
        documents: Documents,
    ) -> Result<Self, StartError> {
        let models = Models::new(&allow).map_err(|error| StartError::Http(error.to_string()))?;
        Ok(Self {
            instances: Instances::new(Arc::clone(&shared)),
            shared,
            models: Arc::new(models),
            defaults: Arc::new(defaults),
            allow,
            documents,
        })
    }
}

/// Something that no document and no customer can know.
fn nonce() -> String {
    format!("{:016x}", rand::random::<u64>())
}
