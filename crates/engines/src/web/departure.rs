//! The last thing before a message leaves: what it builds on is durable.
//!
//! The client writes Signal state behind. A message that came in may have given us a fresh ratchet key;
//! a reply tells the other side to use it. Were we killed between the two, nothing that they write from
//! then on could be read until their phone encrypted it again. So while a message is being sent, the
//! transport writes nothing before the state that the message was encrypted with is in the store.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use whatsapp_rust::Client;

/// A store that takes longer than this is down; the connection is given up, and with it the write.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a write was given up.
#[derive(Debug, thiserror::Error)]
#[error("the session's state is not durable: {0}")]
pub(super) struct NotDurable(String);

/// Held by a session and by the transports of its connections.
#[derive(Default)]
pub(super) struct Departures {
    under_way: AtomicUsize,
    client: Mutex<Weak<Client>>,
}

impl Departures {
    /// The client whose state it is.
    pub(super) fn attach(&self, client: &Arc<Client>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(client);
    }

    /// Begins a send. Only once the offline backlog is through: to flush during it takes the turn that
    /// the client's own processing holds while it waits for the socket.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }

    /// Waits until a write may happen.
    pub(super) async fn clear(&self) -> Result<(), NotDurable> {
        if self.under_way.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(client) = client else { return Ok(()) };
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, client.flush_pending_signal_state());
        match flushed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotDurable(error.to_string())),
            Err(_) => Err(NotDurable("the store did not answer".into())),
        }
    }
}

/// A message on its way to the socket.
pub(super) struct UnderWay<'a>(&'a Departures);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
