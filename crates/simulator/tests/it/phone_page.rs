//! The page with the phones in Debian's Chromium, a real client on the other side of the
//! conversation. What a newcomer does with it is in `browser/phones.mjs`.

use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flowcore_simulator::{CodeSource, WaitingCode};
use futures_util::future::{Either, select};
use tokio::process::Command;
use tokio::time::timeout;
use wacore::types::events::{Event, InboundMessage};
use wacore_binary::Jid;

use crate::harness::{Sandbox, TestClient};

const DEADLINE: Duration = Duration::from_secs(90);

/// The code that a client shows.
struct Shown(String);

#[async_trait]
impl CodeSource for Shown {
    async fn waiting(&self) -> Vec<WaitingCode> {
        vec![WaitingCode { name: "shop".to_owned(), qr: self.0.clone() }]
    }
}

/// Waits for a message that is what one waits for; gives whose it is and its id.
async fn message(
    client: &mut TestClient,
    what: &str,
    is_it: impl Fn(&InboundMessage) -> bool,
) -> (Jid, String) {
    let holds = |event: &Event| matches!(event, Event::Messages(batch) if batch.iter().any(&is_it));
    let event = client.wait_within(DEADLINE, what, holds).await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    let found = batch.iter().find(|message| is_it(message)).expect("matched above");
    (found.info.source.chat.clone(), found.info.id.clone())
}

/// The shop: types when it is asked, has read everything and answers when it is told more.
async fn keep_shop(mut shop: TestClient) {
    use wacore::proto_helpers::MessageExt;
    let connected = |event: &Event| matches!(event, Event::Connected(_));
    shop.wait_within(DEADLINE, "connected", connected).await;
    let asked =
        |message: &InboundMessage| message.message.text_content() == Some("Do you have blue ones?");
    let (customer, question) = message(&mut shop, "the question", asked).await;
    shop.client.chatstate().send_composing(&customer).await.expect("typing");
    let spoken = |message: &InboundMessage| {
        message.message.audio_message.as_option().is_some_and(|audio| audio.ptt == Some(true))
    };
    message(&mut shop, "the voice note", spoken).await;
    shop.client.mark_as_read(&customer, None, &[&question]).await.expect("read");
    shop.client.send_text(customer, "Yes, ten of them.").await.expect("answered");
    let logged_out = |event: &Event| matches!(event, Event::LoggedOut(_));
    shop.wait_within(DEADLINE, "logged out", logged_out).await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_scans_a_code_and_chats_with_the_phones_on_the_page() {
    let sandbox = Sandbox::start().await;
    let mut shop = sandbox.client("Shop").await;
    sandbox.network.offer_codes(Arc::new(Shown(shop.qr().await)));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../browser");
    assert!(folder.join("node_modules").exists(), "npm ci in browser/; scripts/test does");
    let run = Command::new("node")
        .arg("phones.mjs")
        .arg(sandbox.network.base_url(false))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let (run, shop) = (pin!(timeout(DEADLINE, run)), pin!(keep_shop(shop)));
    let (output, shop) = match select(run, shop).await {
        Either::Left((output, shop)) => (output, Some(shop)),
        Either::Right(((), run)) => (run.await, None),
    };
    let output = output.expect("it ends").expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    if let Some(shop) = shop {
        shop.await;
    }
    sandbox.stop().await;
}
