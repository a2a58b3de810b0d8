//! Server-sent events of a provider, one after the other, none longer than it may be.

use super::model::{self, ModelError};
use std::time::Duration;

/// Between two bytes.
const SILENCE: Duration = Duration::from_secs(45);
/// Longest event.
const MAX_EVENT: usize = 256 << 10;

/// The events of an answer.
pub(super) struct Events {
    answer: reqwest::Response,
    /// What came and was not read yet.
    held: Vec<u8>,
}

impl Events {
    pub(super) fn of(answer: reqwest::Response) -> Self {
        Self { answer, held: vec![] }
    }

    /// The data of the next event that has some; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>, ModelError> {
        loop {
            while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                // Providers put each event's data on one line.
                if let Some(data) = line.trim_end().strip_prefix("data:") {
                    return Ok(Some(data.trim().to_owned()));
                }
            }
            if self.held.len() > MAX_EVENT {
                return Err(ModelError::Broken);
            }
            let chunk = tokio::time::timeout(SILENCE, self.answer.chunk()).await;
            let chunk = chunk.map_err(|_| ModelError::TimedOut)?;
            match chunk.map_err(|error| model::of_transport(&error))? {
                Some(chunk) => self.held.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
