//! The product's codes on the page with the phones: one click scans.

use async_trait::async_trait;
use flowcore_server::codes::ShownCodes;
use flowcore_simulator::{CodeSource, WaitingCode};

/// The product beside the network.
pub(crate) struct ProductCodes(pub(crate) ShownCodes);

#[async_trait]
impl CodeSource for ProductCodes {
    async fn waiting(&self) -> Vec<WaitingCode> {
        let shown = self.0.now().await;
        shown.into_iter().map(|code| WaitingCode { name: code.instance, qr: code.text }).collect()
    }
}
