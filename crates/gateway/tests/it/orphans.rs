//! A message whose ratchet step became durable and which itself did not: its sender is asked again, and
//! what came after it waits.

use crate::harness::{DEADLINE, World};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{
    CommitError, DeviceProfile, Engine, Report, SessionSink, SessionSpec,
};
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::message::{Inbound, Past};
use flowcore_domain::session_store::{Change, Namespace, SessionStore, SessionStoreError};
use flowcore_engines::{WebEngine, WebEngineConfig};
use flowcore_storage::{DatabaseOptions, Mark, NewInstance, Store, StoreOptions};
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;

const BUFFER: Namespace = Namespace("pending_inbound");
const SESSION: Namespace = Namespace("session");
const LATER: [&str; 3] = ["and tomorrow?", "and on Sunday?", "please answer"];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_which_only_the_ratchet_step_was_kept_is_asked_for_again() {
    let world = World::start().await;
    let data = tempfile::tempdir().expect("a directory");
    let (store, instance_id) = store_with_instance(data.path()).await;
    let disk = Arc::new(Disk::over(store.session_store(instance_id)));
    let (sink, mut codes, mut texts) = Sink::new();
    let config =
        WebEngineConfig { url: Some(world.network.socket_url(true)), ..WebEngineConfig::default() };
    let engine = WebEngine::new(&config, tokio_util::task::TaskTracker::new()).expect("an engine");
    let spec = SessionSpec {
        instance_id,
        device: DeviceProfile { name: "Flowcore".into(), browser: None, full_history: false },
        store: Arc::clone(&disk) as _,
        proxy: None,
    };
    let session = engine.start(spec, Arc::new(sink)).await.expect("a session");
    let code = timeout(DEADLINE, codes.recv()).await.expect("in time").expect("a code");
    let phone = world.scan(&code).await;

    let (ana, ben) = (world.contact("Ana").await, world.contact("Ben").await);
    for person in [&ana, &ben] {
        write(&world, person, &phone, "hello").await;
        assert_eq!(next(&mut texts).await, "hello");
    }
    disk.hold_back(&ana);
    write(&world, &ana, &phone, "is it open?").await;
    disk.until("Ana's message waits for the disk", |seen| seen.held).await;
    write(&world, &ben, &phone, "thanks").await;
    assert_eq!(next(&mut texts).await, "thanks");
    disk.until("both steps are durable", |seen| seen.sessions.len() >= 2).await;
    let mut later = Vec::new();
    for text in LATER {
        later.push(write(&world, &ana, &phone, text).await);
    }
    // The write fails, the client is abandoned, and the next one starts from what is stored.
    disk.fail_held();
    assert_eq!(next(&mut texts).await, "is it open?", "what came later waits");
    for text in LATER {
        assert_eq!(next(&mut texts).await, text, "in the order in which she wrote");
    }
    acknowledged(&world, &phone, &later).await;
    session.stop().await;
}

/// Waits until the network knows that messages need not be delivered again.
async fn acknowledged(world: &World, phone: &str, ids: &[String]) {
    let wait = async {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            let record = world.ask(&format!("/admin/record?phone={phone}")).await;
            let acked = record["acked"].as_array().expect("a list");
            if ids.iter().all(|id| acked.iter().any(|one| one["id"] == id.as_str())) {
                return;
            }
            look.tick().await;
        }
    };
    timeout(DEADLINE, wait).await.expect("what waited is acknowledged in the end");
}

async fn write(world: &World, from: &str, to: &str, text: &str) -> String {
    let path = format!("/admin/contacts/{from}/messages");
    let written = world.admin(&path, json!({ "to": to, "text": text })).await;
    written["id"].as_str().expect("an id").to_owned()
}

async fn next(texts: &mut mpsc::Receiver<String>) -> String {
    timeout(DEADLINE, texts.recv()).await.expect("a message in time").expect("a message")
}

async fn store_with_instance(data: &std::path::Path) -> (Store, InstanceId) {
    let options = StoreOptions {
        data_dir: data.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
    };
    let store = Store::open(options).await.expect("a store");
    let now = Millis(1_700_000_000_000);
    let admin = store.ensure_admin(UserId(Uuid::from_u128(2)), None, now).await.expect("an admin");
    let id = InstanceId(Uuid::from_u128(1));
    let new =
        NewInstance { id, user_id: admin.user_id, name: "shop".parse().expect("a name"), now };
    store.create_instance(new, Vec::new()).await.expect("an instance");
    (store, id)
}

/// Keeps what the engine commits.
struct Sink {
    codes: mpsc::Sender<String>,
    texts: mpsc::Sender<String>,
    ids: Mutex<Vec<String>>,
}

impl Sink {
    fn new() -> (Self, mpsc::Receiver<String>, mpsc::Receiver<String>) {
        let (codes, seen_codes) = mpsc::channel(64);
        let (texts, seen_texts) = mpsc::channel(64);
        (Self { codes, texts, ids: Mutex::default() }, seen_codes, seen_texts)
    }
}

#[async_trait]
impl SessionSink for Sink {
    async fn recall(&self, _: Past) -> Result<(), CommitError> {
        Ok(())
    }

    async fn commit(&self, messages: Vec<Inbound>) -> Result<(), CommitError> {
        let mut ids = self.ids.lock().expect("the ids");
        for item in messages {
            let Inbound::Message(message) = item else { continue };
            if !ids.contains(&message.id) {
                ids.push(message.id);
                self.texts.try_send(message.text.unwrap_or_default()).expect("the test listens");
            }
        }
        Ok(())
    }

    async fn holds(&self, id: &str) -> Result<bool, CommitError> {
        Ok(self.ids.lock().expect("the ids").iter().any(|known| known == id))
    }

    async fn stored(&self, _id: &str) -> Result<Option<Bytes>, CommitError> {
        Ok(None)
    }

    async fn report(&self, report: Report) {
        if let Report::Qr { text, .. } = report {
            // Only the first code is scanned; nobody listens after that.
            let _ = self.codes.try_send(text);
        }
    }
}

/// What a disk was asked to write since it was told to hold something back.
#[derive(Default)]
struct Seen {
    held: bool,
    sessions: HashSet<String>,
}

/// A store whose disk is slow with one conversation, and then fails it.
#[derive(Debug)]
struct Disk {
    inner: Arc<dyn SessionStore>,
    held_chat: Mutex<Option<String>>,
    failed: watch::Sender<bool>,
    seen: watch::Sender<Seen>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Disk {
    fn over(inner: Arc<dyn SessionStore>) -> Self {
        Self {
            inner,
            held_chat: Mutex::default(),
            failed: watch::Sender::new(false),
            seen: watch::Sender::default(),
        }
    }

    fn hold_back(&self, phone: &str) {
        *self.held_chat.lock().expect("the chat") = Some(phone.to_owned());
        self.seen.send_replace(Seen::default());
    }

    fn fail_held(&self) {
        *self.held_chat.lock().expect("the chat") = None;
        self.failed.send_replace(true);
    }

    async fn until(&self, what: &str, holds: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        timeout(DEADLINE, seen.wait_for(holds))
            .await
            .unwrap_or_else(|_| panic!("never: {what}"))
            .expect("the disk");
    }

    fn is_held(&self, change: &Change) -> bool {
        let chat = self.held_chat.lock().expect("the chat");
        change.namespace == BUFFER
            && change.value.is_some()
            && chat.as_ref().is_some_and(|chat| change.key.starts_with(chat.as_str()))
    }
}

#[async_trait]
impl SessionStore for Disk {
    async fn get(&self, ns: Namespace, key: &str) -> Result<Option<Bytes>, SessionStoreError> {
        self.inner.get(ns, key).await
    }

    async fn get_many(
        &self,
        ns: Namespace,
        keys: &[String],
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        self.inner.get_many(ns, keys).await
    }

    async fn scan(
        &self,
        ns: Namespace,
        prefix: &str,
    ) -> Result<Vec<(String, Bytes)>, SessionStoreError> {
        self.inner.scan(ns, prefix).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), SessionStoreError> {
        if changes.iter().any(|change| self.is_held(change)) {
            self.seen.send_modify(|seen| seen.held = true);
            let mut failed = self.failed.subscribe();
            failed.wait_for(|failed| *failed).await.expect("the disk");
            return Err(SessionStoreError::Unavailable("no space left on the device".into()));
        }
        let sessions = changes.iter().filter(|change| change.namespace == SESSION);
        let sessions: Vec<_> = sessions.map(|change| change.key.clone()).collect();
        self.inner.apply(changes).await?;
        self.seen.send_modify(|seen| seen.sessions.extend(sessions));
        Ok(())
    }

    async fn delete_prefix(&self, ns: Namespace, prefix: &str) -> Result<u64, SessionStoreError> {
        self.inner.delete_prefix(ns, prefix).await
    }

    async fn sweep(&self, ns: Namespace, now: i64) -> Result<u64, SessionStoreError> {
        self.inner.sweep(ns, now).await
    }

    async fn clear(&self) -> Result<(), SessionStoreError> {
        self.inner.clear().await
    }
}
