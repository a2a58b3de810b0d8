//! The Python package `evolutionapi`, unmodified, with everything that it offers.

use crate::harness::{ADMIN_KEY, TestServer, python};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The script gives up by itself before this.
const DEADLINE: Duration = Duration::from_secs(170);

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_client_of_a_third_party_works() {
    let server = TestServer::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/evolution-python");
    let run = Command::new(python("evolution-python", "python"))
        .arg("client.py")
        .args([server.server.url(), ADMIN_KEY, &server.network.base_url(false)])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, run).await.expect("the script ends").expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    server.stop().await;
}
