//! A store in a temporary directory, and rows to put into it.

use crate::postgres::{Pooling, Server};
use crate::raw::Raw;
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{EventId, InstanceId, MessageRowId, UserId, WebhookId};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{Addressing, InboundMessage};
use flowcore_domain::proxy::{Proxy, ProxyProtocol};
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, Health, Scope, Secret, Webhook};
use flowcore_storage::{
    DatabaseOptions, InboundRow, Mark, MasterKey, NewInstance, NewJob, OutgoingRow, Store,
    StoreOptions,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const NOW: Millis = Millis(1_767_603_600_000);
pub(crate) const ALICE: &str = "5511988887777@s.whatsapp.net";
pub(crate) const ALICE_LID: &str = "1234567890@lid";
pub(crate) const BOB: &str = "4915112345678@s.whatsapp.net";
pub(crate) const OWN: &str = "5511911112222@s.whatsapp.net";

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    /// PostgreSQL behind a session pooler.
    Pooler,
}

impl Kind {
    /// A database that nothing else uses.
    pub(crate) fn fresh(self) -> DatabaseOptions {
        match self {
            Self::Sqlite => DatabaseOptions::DataDirectory,
            Self::Postgres => fresh_schema(Server::shared().url()),
            Self::Pooler => fresh_schema(Pooling::Session.start()),
        }
    }
}

/// A schema that nothing else uses.
pub(crate) fn fresh_schema(url: String) -> DatabaseOptions {
    DatabaseOptions::Postgres { url, schema: format!("t{}", Uuid::now_v7().simple()) }
}

/// A store that is deleted with the test.
pub(crate) struct Harness {
    pub(crate) directory: TempDir,
    pub(crate) database: DatabaseOptions,
    pub(crate) store: Store,
    pub(crate) user: UserId,
}

pub(crate) fn options(directory: &Path, database: &DatabaseOptions) -> StoreOptions {
    StoreOptions {
        data_dir: directory.to_path_buf(),
        database: database.clone(),
        mark: Mark::Sandbox,
        master_key: Some(MasterKey::from_bytes([7; 32])),
    }
}

impl Harness {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::on(kind.fresh()).await
    }

    /// With a store that is open already.
    pub(crate) async fn around(
        directory: TempDir,
        database: DatabaseOptions,
        store: Store,
    ) -> Self {
        let user = fresh();
        store.ensure_admin(user, None, NOW).await.expect("an admin");
        Self { directory, database, store, user }
    }

    pub(crate) async fn on(database: DatabaseOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(options(directory.path(), &database)).await.expect("opens");
        Self::around(directory, database, store).await
    }

    /// How this store was opened.
    pub(crate) fn options(&self) -> StoreOptions {
        options(self.directory.path(), &self.database)
    }

    /// Opens the same data as a new process would, without the old one having closed them.
    pub(crate) async fn reopen(self) -> Self {
        let Self { directory, database, store, user } = self;
        drop(store);
        let store = Store::open(options(directory.path(), &database)).await.expect("opens again");
        Self { directory, database, store, user }
    }

    pub(crate) async fn instance(&self, name: &str) -> InstanceId {
        self.store.create_instance(self.new_instance(name), vec![]).await.expect("made").id
    }

    pub(crate) fn new_instance(&self, name: &str) -> NewInstance {
        NewInstance {
            id: fresh(),
            user_id: self.user,
            name: name.parse().expect("a name"),
            now: NOW,
        }
    }

    pub(crate) async fn webhook(&self, instance: InstanceId, events: &[EventKind]) -> Webhook {
        let webhook = webhook(instance, events);
        assert!(self.store.create_webhook(webhook.clone()).await.expect("stored"));
        webhook
    }

    /// How many rows each table has.
    pub(crate) async fn counts(&self) -> BTreeMap<String, i64> {
        let mut raw = self.raw().await;
        let mut counts = BTreeMap::new();
        for table in raw.tables().await {
            let count = raw.number(&format!("SELECT COUNT(*) FROM {table}")).await;
            counts.insert(table, count);
        }
        counts
    }

    /// Everything that is stored: the files of the data directory, the rows of PostgreSQL.
    pub(crate) async fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        for entry in std::fs::read_dir(self.directory.path()).expect("a directory") {
            dump.extend(std::fs::read(entry.expect("an entry").path()).expect("readable"));
        }
        if let mut raw @ Raw::Postgres(_) = self.raw().await {
            for table in raw.tables().await {
                for row in raw.texts(&format!("SELECT t::text FROM {table} t")).await {
                    dump.extend(row.into_bytes());
                }
            }
        }
        dump
    }

    /// How SQLite would run a statement.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        let Raw::Sqlite(mut connection) = self.raw().await else { panic!("this is SQLite's") };
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.expect("a plan");
        plan.into_iter().map(|step| step.3 + "\n").collect()
    }

    /// A connection behind the store's back.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(&self.options()).await
    }
}

pub(crate) fn fresh<T: From<Uuid>>() -> T {
    Uuid::now_v7().into()
}

pub(crate) fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

pub(crate) fn event(instance: InstanceId, kind: EventKind, ordering_key: &str) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::now_v7()),
        instance_id: instance,
        kind,
        ordering_key: ordering_key.to_owned(),
        at: NOW,
        data: json!({"state": "open"}),
    }
}

pub(crate) fn proxy() -> Proxy {
    Proxy {
        protocol: ProxyProtocol::Socks5,
        host: "proxy.example".to_owned(),
        port: 1080,
        username: Some("who".to_owned()),
        password: Some("hush-hush".to_owned()),
    }
}

pub(crate) fn webhook(instance: InstanceId, events: &[EventKind]) -> Webhook {
    Webhook {
        id: WebhookId(Uuid::now_v7()),
        scope: Scope::Instance(instance),
        url: "https://app.example/hook".to_owned(),
        enabled: true,
        events: events.to_vec(),
        headers: BTreeMap::from([("authorization".to_owned(), "Bearer hush-hush".to_owned())]),
        by_events: false,
        media: FileForm::None,
        bytes: BytesForm::Base64,
        secret: Secret::from_bytes([9; 32]),
        previous_secrets: vec![],
        chats: ChatFilter::default(),
        health: Health::default(),
        evolution: false,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A text from `chat`.
pub(crate) fn inbound(instance: InstanceId, chat: &str, id: &str) -> InboundRow {
    let message = InboundMessage {
        id: id.to_owned(),
        chat: jid(chat),
        chat_alt: None,
        sender: jid(chat),
        sender_alt: None,
        from_me: false,
        addressing: Addressing::Pn,
        push_name: Some("Alice".to_owned()),
        timestamp: NOW.seconds(),
        proto: Bytes::from_static(b"\x0a\x02hi"),
        content: json!({"conversation": "hi"}),
        kind: "conversation".to_owned(),
        text: Some("hi".to_owned()),
        context: None,
    };
    let event = event(instance, EventKind::MessagesUpsert, chat);
    InboundRow {
        row_id: fresh(),
        message,
        event,
        introduction: vec![],
        renamed: None,
        consequences: vec![],
        jobs: vec![],
    }
}

/// A text to `chat`.
pub(crate) fn outgoing(instance: InstanceId, chat: &str, wa_id: &str) -> OutgoingRow {
    OutgoingRow {
        row_id: MessageRowId(Uuid::now_v7()),
        instance_id: instance,
        wa_id: wa_id.to_owned(),
        chat: jid(chat),
        chat_alt: None,
        sender: jid(OWN),
        kind: "conversation".to_owned(),
        content: json!({"conversation": "hello"}),
        text: Some("hello".to_owned()),
        context: None,
        recipients: Vec::new(),
        proto: Bytes::new(),
        idempotency: None,
        turn: None,
        tells: None,
        now: NOW,
    }
}

/// Work about `key`.
pub(crate) fn job(instance_id: InstanceId, kind: &'static str, key: &str) -> NewJob {
    let (ordering_key, payload) = (key.to_owned(), json!({ "about": key }));
    NewJob { instance_id, kind, ordering_key, payload, due: NOW }
}
