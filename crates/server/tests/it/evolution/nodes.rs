//! The nodes of n8n, unmodified, with every operation that they have.

use crate::harness::{ADMIN_KEY, TestServer};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The script gives up by itself before this.
const DEADLINE: Duration = Duration::from_secs(170);

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_workflows_work() {
    let server = TestServer::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/n8n");
    let installed = folder.join("node_modules/n8n-nodes-evolution-api").exists();
    assert!(installed, "run `npm ci` in bench/n8n first; scripts/test does");
    let run = Command::new("node")
        .arg("client.mjs")
        .args([server.server.url(), ADMIN_KEY, &server.network.base_url(false)])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, run).await.expect("the script ends").expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    server.stop().await;
}
