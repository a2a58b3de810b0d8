//! The dashboard in Debian's Chromium: every flow, what axe says of each page, and that nothing is loaded from
//! elsewhere, moves, or complains. The flows themselves are in `browser/`.

use crate::harness::{ADMIN_KEY, TestServer, config};
use flowcore_server::app;
use flowcore_server::config::ServerConfig;
use flowcore_server::{Access, Mark};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
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

/// Everything that a page's form can be sent to is tried, or the flow fails.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_works_without_javascript() {
    let server = TestServer::start().await;
    let routes = server.server.routes().iter();
    let forms = routes.filter(|route| route.method == "POST");
    let forms =
        forms.filter(|route| matches!(route.access, Access::Page(_)) || route.path == "/login");
    let forms: Vec<&str> = forms.map(|route| route.path).collect();
    let mut node = node("forms.mjs", &server);
    node.env("FLOWCORE_FORMS", serde_json::json!(forms).to_string());
    succeeds(node).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_left_open_show_the_truth() {
    left_open(None, DEADLINE).await;
}

/// An hour of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: scripts/soak left_open"]
async fn soak_left_open() {
    left_open(Some(60), Duration::from_secs(80 * 60)).await;
}

/// The flows, with what they need to know of the server.
fn node(flows: &str, server: &TestServer) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../browser");
    assert!(folder.join("node_modules").exists(), "npm ci in browser/; scripts/test does");
    let mut node = Command::new("node");
    node.arg(flows)
        .args([server.server.url(), ADMIN_KEY, &server.network.base_url(false)])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    node
}

async fn run(flows: &str) {
    let server = TestServer::start().await;
    succeeds(node(flows, &server)).await;
    server.stop().await;
}

async fn succeeds(mut node: Command) {
    let output = timeout(DEADLINE, node.output()).await.expect("it ends");
    let output = output.expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

/// The flow asks for the server to be stopped and started under it.
async fn left_open(minutes: Option<u32>, within: Duration) {
    let server = TestServer::start().await;
    let mut node = node("open.mjs", &server);
    node.args(minutes.map(|minutes| minutes.to_string()));
    let node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = node.expect("node runs");
    let mut answers = node.stdin.take().expect("a pipe");
    let mut said = BufReader::new(node.stdout.take().expect("a pipe")).lines();
    let TestServer { server, network, folder, .. } = server;
    let port = server.addr().port();
    let mut running = Some(server);
    let going = async {
        while let Some(line) = said.next_line().await.expect("UTF-8") {
            match line.as_str() {
                "stop" => {
                    running.take().expect("it runs").stop().await;
                }
                "start" => {
                    let config = ServerConfig { port, ..config(folder.path(), &network) };
                    running = Some(app::serve(config, Mark::Sandbox).await.expect("a server"));
                }
                told => {
                    println!("{told}");
                    continue;
                }
            }
            answers.write_all(b"done\n").await.expect("it listens");
        }
        node.wait().await.expect("it ends")
    };
    let status = timeout(within, going).await.expect("it ends");
    assert!(status.success(), "the flow failed");
    running.expect("it runs").stop().await;
    network.stop().await;
}
