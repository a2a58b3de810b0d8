//! The independent Node client of `bench/baileys` against the network.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::{Duration, timeout};

use crate::harness::Sandbox;

/// The script gives up by itself before this.
const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_pairs_and_exchanges_texts() {
    run("pair_and_text.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_uses_groups_and_newsletters() {
    run("groups_and_newsletters.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_does_what_people_do_every_day() {
    run("everyday.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_is_told_how_each_session_ends() {
    run("endings.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_runs_a_newsletter() {
    run("newsletters.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_goes_through_its_codes_and_is_linked_by_any() {
    run("codes.mjs").await;
}

async fn run(script: &str) {
    let sandbox = Sandbox::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/baileys");
    let installed = folder.join("node_modules/@whiskeysockets/baileys").exists();
    assert!(installed, "run `npm ci` in bench/baileys first; scripts/test does");
    let run = Command::new("node")
        .arg(script)
        .arg(sandbox.network.base_url(false))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, run).await.expect("the script ends").expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    sandbox.stop().await;
}
