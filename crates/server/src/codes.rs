//! The codes that instances show now, for who runs the server in its own process.
//!
//! The sandbox hands them to its network, so that a simulated phone scans by one click. A code links a
//! phone: nothing here goes over HTTP.

use flowcore_gateway::{Gateway, InstanceFilter, InstanceView};
use std::fmt;

/// A code that waits to be scanned.
#[derive(Clone)]
pub struct ShownCode {
    /// Name of the instance.
    pub instance: String,
    /// The text inside the QR image.
    pub text: String,
}

impl fmt::Debug for ShownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownCode").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Knows the codes of a running server; knows none once it stopped.
#[derive(Debug, Clone)]
pub struct ShownCodes {
    gateway: Gateway,
}

impl ShownCodes {
    pub(crate) fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }

    /// The current code of each of the admin's instances that shows one, in order of their names.
    pub async fn now(&self) -> Vec<ShownCode> {
        let admin = self.gateway.accounts().admin();
        let listed = self.gateway.instances().list(&admin, &InstanceFilter::default()).await;
        let instances = listed.unwrap_or_else(|error| {
            tracing::debug!(%error, "the instances can't be listed");
            Vec::new()
        });
        let shown = |view: InstanceView| {
            let text = view.qr?.text;
            Some(ShownCode { instance: view.name.to_string(), text })
        };
        instances.into_iter().filter_map(shown).collect()
    }
}
