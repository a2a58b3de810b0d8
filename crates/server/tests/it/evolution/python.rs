//! The Python package `evolutionapi`, unmodified, with everything that it offers.

use crate::harness::{ADMIN_KEY, TestServer};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The script gives up by itself before this.
const DEADLINE: Duration = Duration::from_secs(170);

/// The interpreter that has the package; scripts/test installs it.
#[expect(clippy::disallowed_methods, reason = "where the build is, is no setting of the server")]
fn interpreter() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = target.unwrap_or_else(|| root.join("target"));
    root.join(target).join("tools/evolution-python/bin/python")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_client_of_a_third_party_works() {
    let server = TestServer::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/evolution-python");
    let python = interpreter();
    assert!(python.exists(), "install bench/evolution-python/requirements.txt; scripts/test does");
    let run = Command::new(python)
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
