//! The dashboard in Debian's Chromium: every flow, what axe says of each page, and that nothing is loaded from
//! elsewhere, moves, or complains. The flows themselves are in `browser/`.

use crate::harness::{ADMIN_KEY, TestServer};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(280);

#[tokio::test(flavor = "multi_thread")]
async fn every_flow_works_in_a_browser() {
    run("flows.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flow_around_customers_works_in_a_browser() {
    run("desk.mjs").await;
}

async fn run(flows: &str) {
    let server = TestServer::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../browser");
    assert!(folder.join("node_modules").exists(), "npm ci in browser/; scripts/test does");
    let run = Command::new("node")
        .arg(flows)
        .args([server.server.url(), ADMIN_KEY, &server.network.base_url(false)])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, run).await.expect("it ends").expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    server.stop().await;
}
