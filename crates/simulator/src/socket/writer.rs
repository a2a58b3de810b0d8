//! The writing half of a socket.
//!
//! The mailbox goes first, so an answer is never behind a backlog; then the queue, in batches
//! that become one WebSocket message.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::time::sleep;
use wacore_binary::Node;
use wacore_noise::NoiseCipher;

use super::mailbox::{Incoming, Outgoing};
use super::session::Delivery;
use crate::wire::cipher::StanzaWriter;

/// Stanzas of the queue per WebSocket message.
const BATCH: usize = 64;
/// How long a client may take to close by itself after a last word.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    cipher: StanzaWriter,
    sink: SplitSink<WebSocket, Message>,
    incoming: Incoming,
    delivery: Delivery,
}

impl Writer {
    pub(super) fn new(
        cipher: NoiseCipher,
        sink: SplitSink<WebSocket, Message>,
        incoming: Incoming,
        delivery: Delivery,
    ) -> Self {
        Self { cipher: StanzaWriter::new(cipher), sink, incoming, delivery }
    }

    /// Writes until the socket is cancelled or told to finish; then closes it.
    pub(super) async fn run(mut self) {
        let cancel = self.incoming.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = self.write_until_finished() => {}
        }
        cancel.cancel();
        // A peer that does not read must not keep a cut socket open.
        let close = self.sink.send(Message::Close(None));
        let _closed_or_not = tokio::time::timeout(FAREWELL, close).await;
    }

    async fn write_until_finished(&mut self) {
        loop {
            let outgoing = tokio::select! {
                biased;
                outgoing = self.incoming.receiver.recv() => outgoing,
                () = self.incoming.wake.notified() => Some(Outgoing::Look),
            };
            match outgoing {
                None => return,
                Some(Outgoing::Stanza(stanza)) => {
                    if !self.write(&[stanza]).await {
                        return;
                    }
                }
                Some(Outgoing::Finish) => {
                    sleep(FAREWELL).await;
                    return;
                }
                Some(Outgoing::Look) => self.incoming.silence.thawed().await,
            }
            if !self.write_queue().await {
                return;
            }
        }
    }

    async fn write_queue(&mut self) -> bool {
        while self.incoming.receiver.is_empty() {
            let stanzas = self.delivery.pull(BATCH);
            if stanzas.is_empty() {
                return true;
            }
            if !self.write(&stanzas).await {
                return false;
            }
        }
        // Come back after the mailbox.
        self.incoming.wake.notify_one();
        true
    }

    /// Writes stanzas as one message; `false` when the socket is gone.
    async fn write(&mut self, stanzas: &[Node]) -> bool {
        let mut bytes = Vec::new();
        for stanza in stanzas {
            if let Err(error) = self.cipher.seal(stanza, &mut bytes) {
                tracing::error!(%error, tag = %stanza.tag, "a stanza cannot be written");
                return false;
            }
        }
        self.delivery.count(stanzas.len());
        self.sink.send(Message::Binary(bytes.into())).await.is_ok()
    }
}
