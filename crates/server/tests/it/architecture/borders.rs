//! Who may know whom: the borders between crates, and those between modules that no crate draws.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{own_paths, paths};
use super::sources::{Shipped, Tree, words};
use super::{assert_allowed, assert_caught, assert_kept, finding};

const PURE_DOMAIN: &str = "`domain` depends only on small pure crates: no I/O, no runtime";
const OURS: &str = "our crates know each other only along the arrows of the house: storage, engines \
    and simulator know domain, knowledge knows nobody; gateway knows these without the simulator; \
    server knows gateway and domain";
const NEVER_MEET: &str =
    "`storage` and `engines` never meet: the session store is a port in `domain`";
const ONE_PLACE: &str = "only `storage` names sqlx and rusqlite, only `engines` and `simulator` name WhatsApp's \
    protocol crates, only `server` and `simulator` name axum";
const HTTP_CLIENTS: &str = "HTTP clients are built only in `gateway::clients` and, for WhatsApp's own hosts, in `engines::web`";
const GATEWAY: &str = "in `gateway`, `assistant`, `support` and `events` never touch \
    `instances::actor`, and `instances` knows none of them";
const DIALECTS: &str =
    "in `server`, the dialects `api`, `evolution` and `functions` never import each other";
const SURFACE: &str =
    "routes are declared through `server::surface` only, which guards and lists them";
const DANGER: &str = "features that switch TLS checks off are named in crates/simulator/Cargo.toml \
    and nowhere else";
const SIMULATOR: &str = "`simulator` is a dev-dependency everywhere except in `sandbox`";

/// What `domain` may depend on.
const PURE: [&str; 12] = [
    "serde",
    "serde_json",
    "thiserror",
    "uuid",
    "bytes",
    "base64",
    "hmac",
    "sha2",
    "rust-stemmers",
    "unicode-normalization",
    "async-trait",
    "jiff",
];

const DIALECT_MODULES: [&str; 3] = ["api", "evolution", "functions"];
const LISTENERS: [&str; 3] = ["assistant", "support", "events"];

fn domain_is_pure(tree: &Tree) -> Vec<String> {
    let manifests = tree.manifests().filter(|manifest| manifest.krate == "domain");
    manifests
        .flat_map(|manifest| {
            let foreign = manifest.dependencies.into_iter().filter(|d| !PURE.contains(&d.as_str()));
            let path = manifest.path;
            foreign
                .map(move |name| finding(&path, &format!("depends on {name}"), PURE_DOMAIN))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn arrows_are_kept(tree: &Tree) -> Vec<String> {
    let arrows: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("domain", &[][..]),
        ("storage", &["domain"]),
        ("engines", &["domain"]),
        ("knowledge", &[]),
        ("gateway", &["domain", "storage", "engines", "knowledge"]),
        ("server", &["domain", "gateway"]),
        ("simulator", &["domain"]),
    ]);
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let Some(allowed) = arrows.get(manifest.krate.as_str()) else { continue };
        for ours in manifest.dependencies.iter().filter_map(|name| name.strip_prefix("flowcore-")) {
            // The simulator has a rule, and a sentence, of its own.
            if ours != "simulator" && !allowed.contains(&ours) {
                findings.push(finding(
                    &manifest.path,
                    &format!("depends on flowcore-{ours}"),
                    OURS,
                ));
            }
        }
    }
    findings
}

fn storage_and_engines_never_meet(tree: &Tree) -> Vec<String> {
    let edges: BTreeMap<String, BTreeSet<String>> =
        tree.manifests().map(|manifest| (manifest.krate, manifest.dependencies)).collect();
    let pairs = [("engines", "storage"), ("storage", "engines")];
    pairs
        .into_iter()
        .filter(|(from, to)| leads_to(&edges, from, to, &mut BTreeSet::new()))
        .map(|(from, to)| {
            finding(&format!("crates/{from}/Cargo.toml"), &format!("leads to {to}"), NEVER_MEET)
        })
        .collect()
}

fn leads_to(
    edges: &BTreeMap<String, BTreeSet<String>>,
    from: &str,
    to: &str,
    seen: &mut BTreeSet<String>,
) -> bool {
    if !seen.insert(from.to_owned()) {
        return false;
    }
    let ours = edges.get(from).into_iter().flatten().filter_map(|d| d.strip_prefix("flowcore-"));
    ours.clone().any(|next| next == to || leads_to(edges, next, to, seen))
}

/// The crates that may name `name`, if it is one of those that have a single place.
fn homes_of(name: &str) -> Option<&'static [&'static str]> {
    // Dependencies are spelt with hyphens, paths with underscores.
    let name = name.replace('-', "_");
    match name.as_str() {
        "sqlx" | "rusqlite" => Some(&["storage"]),
        "axum" => Some(&["server", "simulator"]),
        _ if ["whatsapp_rust", "wacore", "waproto"].iter().any(|p| name.starts_with(p)) => {
            Some(&["engines", "simulator"])
        }
        _ => None,
    }
}

fn foreign_crates_have_one_place(tree: &Tree) -> Vec<String> {
    let strange =
        |krate: &str, name: &str| homes_of(name).is_some_and(|homes| !homes.contains(&krate));
    let mut findings = Vec::new();
    for file in tree.shipped() {
        let names: BTreeSet<_> =
            words(&file.code).filter(|name| strange(file.krate, name)).collect();
        findings.extend(
            names.iter().map(|name| finding(file.path, &format!("names {name}"), ONE_PLACE)),
        );
    }
    for manifest in tree.manifests() {
        let names = manifest.dependencies.iter().filter(|name| strange(&manifest.krate, name));
        findings.extend(
            names.map(|name| finding(&manifest.path, &format!("depends on {name}"), ONE_PLACE)),
        );
    }
    findings
}

fn http_clients_have_one_maker(tree: &Tree) -> Vec<String> {
    let allowed = |file: &Shipped<'_>| match file.krate {
        "gateway" => file.within("clients"),
        "engines" => file.within("web"),
        krate => krate == "simulator",
    };
    let suspects = tree.shipped().filter(|file| !allowed(file));
    suspects
        .filter_map(|file| {
            let maker = maker_of_clients(&file.code)?;
            Some(finding(file.path, &format!("builds an HTTP client: {maker}"), HTTP_CLIENTS))
        })
        .collect()
}

fn maker_of_clients(code: &str) -> Option<String> {
    let knows_reqwest = words(code).any(|word| word == "reqwest");
    let builds = |path: &Vec<String>| {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["reqwest", "get"] | ["hyper_util", "client", ..] => true,
            [.., "Client" | "ClientBuilder", "new" | "builder" | "default"] => knows_reqwest,
            _ => parts.iter().any(|part| part.to_lowercase().starts_with("ureq")),
        }
    };
    paths(code).into_iter().find(builds).map(|path| path.join("::"))
}

fn listeners_and_instances_stay_apart(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.shipped().filter(|file| file.krate == "gateway") {
        let listens = LISTENERS.iter().any(|module| file.within(module));
        let is_instances = file.within("instances");
        let breaks = |path: &Vec<String>| match path.as_slice() {
            [first, second, ..] if listens => first == "instances" && second == "actor",
            [first, ..] if is_instances => LISTENERS.contains(&first.as_str()),
            _ => false,
        };
        if let Some(path) = own_paths(&file).into_iter().find(breaks) {
            findings.push(finding(file.path, &format!("names {}", path.join("::")), GATEWAY));
        }
    }
    findings
}

fn dialects_stay_apart(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.shipped().filter(|file| file.krate == "server") {
        let Some(own) = DIALECT_MODULES.iter().find(|module| file.within(module)) else { continue };
        let other = |path: &Vec<String>| {
            path.first()
                .is_some_and(|first| first != own && DIALECT_MODULES.contains(&first.as_str()))
        };
        if let Some(path) = own_paths(&file).into_iter().find(other) {
            findings.push(finding(file.path, &format!("imports {}", path.join("::")), DIALECTS));
        }
    }
    findings
}

fn routes_have_one_place(tree: &Tree) -> Vec<String> {
    tree.shipped()
        .filter(|file| file.krate == "server" && !file.within("surface"))
        .filter(|file| words(&file.code).any(|word| word == "routing"))
        .map(|file| finding(file.path, "names axum::routing", SURFACE))
        .collect()
}

fn danger_has_one_place(tree: &Tree) -> Vec<String> {
    let manifests = tree.files.iter().filter(|file| {
        let is_manifest = file.path.ends_with("Cargo.toml") || file.path.ends_with("config.toml");
        is_manifest && file.path != "crates/simulator/Cargo.toml" && file.text.contains("danger-")
    });
    let mut findings: Vec<_> =
        manifests.map(|file| finding(&file.path, "names a danger- feature", DANGER)).collect();
    for file in tree.shipped().filter(|file| file.krate != "simulator") {
        if words(&file.code).any(|word| word.starts_with("danger_accept_invalid")) {
            findings.push(finding(file.path, "accepts invalid certificates", DANGER));
        }
    }
    findings
}

fn simulator_is_for_tests(tree: &Tree) -> Vec<String> {
    tree.manifests()
        .filter(|manifest| manifest.krate != "sandbox")
        .filter(|manifest| manifest.dependencies.contains("flowcore-simulator"))
        .map(|manifest| finding(&manifest.path, "has it in [dependencies]", SIMULATOR))
        .collect()
}

#[test]
fn domain_depends_only_on_pure_crates() {
    assert_kept(domain_is_pure);
    let manifest = "[dependencies]\nserde.workspace = true\ntokio.workspace = true";
    assert_caught(domain_is_pure, &[("crates/domain/Cargo.toml", manifest)], PURE_DOMAIN);
    let tests = "[dependencies]\nserde = '1'\n[dev-dependencies]\nproptest = '1'";
    assert_allowed(domain_is_pure, &[("crates/domain/Cargo.toml", tests)]);
}

#[test]
fn our_crates_know_each_other_along_the_arrows() {
    assert_kept(arrows_are_kept);
    let manifest = "[dependencies]\nflowcore-storage.workspace = true";
    assert_caught(arrows_are_kept, &[("crates/server/Cargo.toml", manifest)], OURS);
    assert_allowed(arrows_are_kept, &[("crates/gateway/Cargo.toml", manifest)]);
}

#[test]
fn storage_and_engines_know_nothing_of_each_other() {
    assert_kept(storage_and_engines_never_meet);
    let files = [
        ("crates/engines/Cargo.toml", "[dependencies]\nflowcore-gateway.workspace = true"),
        ("crates/gateway/Cargo.toml", "[dependencies]\nflowcore-storage.workspace = true"),
        ("crates/storage/Cargo.toml", "[dev-dependencies]\nflowcore-engines.workspace = true"),
    ];
    assert_caught(storage_and_engines_never_meet, &files, NEVER_MEET);
}

#[test]
fn sqlx_whatsapp_and_axum_are_named_in_their_places_only() {
    let check = foreign_crates_have_one_place;
    assert_kept(check);
    for source in [
        "use sqlx::Row;",
        "use rusqlite::Row;",
        "fn f(j: wacore_binary::Jid) {}",
        "#[derive(sqlx::FromRow)] struct R;",
    ] {
        assert_caught(check, &[("crates/gateway/src/inbox.rs", source)], ONE_PLACE);
    }
    let manifest = "[dependencies]\nwacore-binary.workspace = true";
    assert_caught(check, &[("crates/gateway/Cargo.toml", manifest)], ONE_PLACE);
    assert_caught(check, &[("crates/gateway/src/inbox.rs", "use axum::Router;")], ONE_PLACE);
    let kept = [
        (
            "crates/gateway/src/inbox.rs",
            "//! Not sqlx.\n#[cfg(test)]\nmod tests { use axum::Router; }",
        ),
        ("crates/gateway/tests/inbox.rs", "use axum::Router;"),
        ("crates/storage/src/outbox.rs", "use sqlx::Row;"),
        ("crates/engines/src/web/media.rs", "use waproto::whatsapp::Message;"),
    ];
    assert_allowed(check, &kept);
}

#[test]
fn http_clients_are_built_in_one_place() {
    let check = http_clients_have_one_maker;
    assert_kept(check);
    for source in [
        "use reqwest::Client; fn f() { Client::builder(); }",
        "fn f() { reqwest::ClientBuilder::new(); }",
        "use ureq::Agent;",
    ] {
        assert_caught(check, &[("crates/gateway/src/events/webhooks.rs", source)], HTTP_CLIENTS);
    }
    let source = "fn f() { reqwest::Client::builder(); }";
    let kept = [
        ("crates/gateway/src/clients.rs", source),
        ("crates/engines/src/web/transport.rs", "use ureq::Agent;"),
        ("crates/server/src/app.rs", "fn f(c: reqwest::Client) { Client::new(); }"),
    ];
    assert_allowed(check, &kept[..2]);
    assert_caught(check, &kept, HTTP_CLIENTS);
}

#[test]
fn gateway_listeners_and_instances_do_not_know_each_other() {
    let check = listeners_and_instances_stay_apart;
    assert_kept(check);
    for (path, source) in [
        (
            "crates/gateway/src/events/webhooks.rs",
            "use crate::{inbox, instances::{actor::Handle}};",
        ),
        ("crates/gateway/src/assistant.rs", "fn f() { super::instances::actor::stop(); }"),
        ("crates/gateway/src/instances/actor.rs", "use super::super::events::live;"),
        ("crates/gateway/src/instances.rs", "use crate::support::keywords;"),
    ] {
        assert_caught(check, &[(path, source)], GATEWAY);
    }
    let kept = [
        (
            "crates/gateway/src/instances/actor.rs",
            "use flowcore_domain::event::Event; let events = 1;",
        ),
        ("crates/gateway/src/events.rs", "use crate::instances::Instances;"),
    ];
    assert_allowed(check, &kept);
}

#[test]
fn dialects_do_not_import_each_other() {
    let check = dialects_stay_apart;
    assert_kept(check);
    for (path, source) in [
        ("crates/server/src/evolution/message.rs", "use crate::api::instances::Dto;"),
        ("crates/server/src/api.rs", "use super::{problem, functions::Reply};"),
    ] {
        assert_caught(check, &[(path, source)], DIALECTS);
    }
    assert_allowed(check, &[("crates/server/src/router.rs", "use crate::{api, evolution};")]);
}

#[test]
fn no_route_goes_past_the_surface() {
    let check = routes_have_one_place;
    assert_kept(check);
    let source = "fn f() -> Router { Router::new().route(\"/\", axum::routing::get(home)) }";
    assert_caught(check, &[("crates/server/src/router.rs", source)], SURFACE);
    assert_allowed(check, &[("crates/server/src/surface.rs", source)]);
    assert_allowed(check, &[("crates/simulator/src/admin.rs", source)]);
}

#[test]
fn danger_features_are_named_by_the_simulator_only() {
    let check = danger_has_one_place;
    assert_kept(check);
    let manifest = "[features]\ntest = [\"whatsapp-rust/danger-skip-tls-verify\"]";
    assert_caught(check, &[("crates/engines/Cargo.toml", manifest)], DANGER);
    assert_caught(check, &[("Cargo.toml", manifest)], DANGER);
    let source = "fn f(b: B) { b.danger_accept_invalid_certs(true); }";
    assert_caught(check, &[("crates/gateway/src/clients.rs", source)], DANGER);
    assert_allowed(check, &[("crates/simulator/Cargo.toml", manifest)]);
}

#[test]
fn simulator_is_a_dependency_of_the_sandbox_only() {
    assert_kept(simulator_is_for_tests);
    let manifest = "[dependencies]\nflowcore-simulator.workspace = true";
    assert_caught(simulator_is_for_tests, &[("crates/server/Cargo.toml", manifest)], SIMULATOR);
    assert_allowed(simulator_is_for_tests, &[("crates/sandbox/Cargo.toml", manifest)]);
}
