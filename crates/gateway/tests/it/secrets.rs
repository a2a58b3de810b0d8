//! After a busy run nobody reads a key out of the data directory.

use crate::harness::{World, named};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::session_store::Namespace;
use flowcore_storage::{DatabaseOptions, InstanceFilter, Mark, Store, StoreOptions};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// Keys, ratchets and tokens; the rest of the session's state is public.
const SECRET: [&str; 9] = [
    "device",
    "session",
    "prekey",
    "signed_prekey",
    "sender_key",
    "sync_key",
    "tc_token",
    "base_key",
    "msg_secret",
];

/// So much of a value together is no accident.
const WINDOW: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_busy_number_is_readable_in_its_data_directory() {
    let world = World::start().await;
    let (customer, phone) = (world.contact("Ana").await, world.linked("shop").await);
    world.hook("shop").await;
    let path = format!("/admin/contacts/{customer}/messages");
    for number in 0..5 {
        let text = format!("question {number}");
        world.admin(&path, json!({ "to": phone, "text": text })).await;
        let arrived = |body: &serde_json::Value| body["data"]["message"]["conversation"] == text;
        world.receiver.until(&text, arrived).await;
        let messages = world.gateway.messages();
        let answer = (customer.as_str(), "an answer");
        messages.send_text(&world.caller, &named("shop"), answer, None).await.expect("sent");
    }
    world.gateway.stop().await;
    let secrets = secrets(world.data()).await;
    assert!(secrets.len() > 100, "a busy number has prekeys and ratchets: {}", secrets.len());
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(world.data())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.is_file())
        .map(|file| (file.display().to_string(), std::fs::read(&file).expect("readable")))
        .collect();
    let forms: HashMap<Vec<u8>, &str> = secrets
        .iter()
        .flat_map(|(name, piece)| {
            [piece.clone(), hex(piece), STANDARD.encode(piece).into_bytes()]
                .map(|form| (form[..WINDOW].to_vec(), *name))
        })
        .collect();
    for (file, content) in &files {
        let found = content.windows(WINDOW).find_map(|piece| forms.get(piece));
        assert_eq!(found, None, "a value of that kind is readable in {file}");
    }
}

/// A piece out of the middle of every secret value, after the names of its fields.
async fn secrets(data: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let store = Store::open(StoreOptions {
        data_dir: data.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
    });
    let store = store.await.expect("a store");
    let instance = store.instances(&InstanceFilter::default()).await.expect("read")[0].id;
    let session = store.session_store(instance);
    let mut secrets = Vec::new();
    for name in SECRET {
        for (_, value) in session.scan(Namespace(name), "").await.expect("read") {
            let middle = value.len() / 2;
            if middle >= WINDOW {
                secrets.push((name, value[middle - WINDOW / 2..middle + WINDOW / 2].to_vec()));
            }
        }
    }
    store.close().await;
    secrets
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS[usize::from(half)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
