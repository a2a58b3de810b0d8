//! The benchmarks in short, as a guard: what is compared are ratios of two things measured in the same
//! run, on a machine that is as slow as it is. No time of the clock is asserted.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// One work of `flowcore-bench`, and what it measured.
fn bench(arguments: &[&str]) -> Value {
    let sandbox =
        Path::new(env!("CARGO_BIN_EXE_flowcore-bench")).with_file_name("flowcore-sandbox");
    assert!(sandbox.exists(), "`cargo build --workspace` makes it; scripts/test does that first");
    let output = Command::new(env!("CARGO_BIN_EXE_flowcore-bench"))
        .arg("--json")
        .arg("--sandbox")
        .arg(sandbox)
        .args(arguments)
        .output()
        .expect("the benchmark runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}\n{errors}");
    serde_json::from_str(said.lines().last().expect("a line")).expect("figures")
}

fn figure(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_else(|| panic!("no {name} in {figures}"))
}

#[test]
fn a_number_more_weighs_no_more_than_those_before() {
    let figures = bench(&["density", "--numbers", "10,40", "--history", "5", "--rest", "1"]);
    let each = |numbers: u32| figure(&figures, &format!("resident_kib_each_at_{numbers}"));
    let all = |numbers: u32| each(numbers) * f64::from(numbers);
    let another = (all(40) - all(10)) / 30.0;
    assert!(another <= each(10) * 1.2, "{another} KiB for one more: {figures}");
    // The network holds a phone, its keys and a socket for each as well.
    let network = figure(&figures, "network_kib_each_at_40");
    assert!(another <= network * 4.0, "{another} KiB against {network} there: {figures}");
}

#[test]
fn a_message_costs_no_multiple_of_what_the_network_spends_on_it() {
    let pairs = ["--numbers", "20", "--people", "5", "--rate", "60", "--seconds", "5"];
    let inbound = bench(&[&["inbound"], &pairs[..]].concat());
    let outbound = bench(&["outbound", "--pairs", "20", "--rate", "60", "--seconds", "5"]);
    for (way, figures) in [("in", inbound), ("out", outbound)] {
        assert!(figure(&figures, "lost") < 1.0, "{way}: {figures}");
        let ratio = figure(&figures, "product_us") / figure(&figures, "network_us");
        // 1.0 in and 1.5 out in a debug build on two cores, with both benchmarks at once.
        assert!(ratio < 4.0, "{way}: {ratio} times the network's work: {figures}");
    }
}
