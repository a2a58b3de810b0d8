//! A process that is killed in the middle of its writes: what it was told is stored is there, and nothing is
//! half. The test starts itself again as the process that is killed.

use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{EventId, InstanceId, UserId};
use flowcore_domain::message::{Addressing, InboundMessage};
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_storage::{
    DatabaseOptions, InboundRow, Mark, MasterKey, NewInstance, Store, StoreOptions,
};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use uuid::Uuid;

const NOW: Millis = Millis(1_767_603_600_000);
const INSTANCE: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const PEER: &str = "5511988887777@s.whatsapp.net";
const SESSION: Namespace = Namespace("session");
/// Names the data directory to the process that is killed.
const CHILD: &str = "FLOWCORE_TORTURE_DIRECTORY";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "a message to itself, not a setting")]
    if let Ok(directory) = std::env::var(CHILD) {
        return write_until_killed(Path::new(&directory)).await;
    }
    torture("nothing_acknowledged_is_lost_when_the_process_is_killed", 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: scripts/soak killed_store"]
async fn soak_killed_store() {
    torture("nothing_acknowledged_is_lost_when_the_process_is_killed", 100).await;
}

async fn open(directory: &Path) -> Store {
    let options = StoreOptions {
        data_dir: directory.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: Some(MasterKey::from_bytes([7; 32])),
    };
    Store::open(options).await.expect("opens")
}

async fn torture(test: &str, rounds: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        // Another moment each time: while it opens, and after ever more writes.
        let wanted = (round * 37) % 300;
        let mut told = 0;
        while told < wanted {
            let line = output.next().expect("it writes on").expect("text");
            if let Some(id) = line.strip_prefix("stored ") {
                acknowledged.push(id.to_owned());
                told += 1;
            }
        }
        child.kill().expect("killed");
        // What it told before it died counts too.
        let rest = output.map_while(Result::ok);
        acknowledged.extend(rest.filter_map(|line| Some(line.strip_prefix("stored ")?.to_owned())));
        child.wait().expect("dead");
        verify(directory.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() > 100, "too little was written: {}", acknowledged.len());
}

/// Several phones' worth of writes at once, each told when it is stored.
async fn write_until_killed(directory: &Path) {
    let store = open(directory).await;
    let instance = InstanceId(INSTANCE);
    if store.instance(instance).await.expect("read").is_none() {
        let user = UserId(Uuid::now_v7());
        let user = store.ensure_admin(user, None, NOW).await.expect("an admin").user_id;
        let name = "shop".parse().expect("a name");
        let new = NewInstance { id: instance, user_id: user, name, now: NOW };
        store.create_instance(new, vec![]).await.expect("made");
    }
    let writers = (0..8).map(|_| async {
        let session = store.session_store(instance);
        loop {
            let id = Uuid::now_v7().simple().to_string();
            // The halves of a ratchet: one without the other is a broken session.
            let halves =
                ["sending", "receiving"].map(|half| Change::put(SESSION, half, id.clone()));
            session.apply(halves.to_vec()).await.expect("applied");
            let row = inbound(instance, &id);
            store.commit_inbound(instance, vec![row], NOW).await.expect("stored");
            let mut out = std::io::stdout().lock();
            writeln!(out, "stored {id}").and_then(|()| out.flush()).expect("told");
        }
    });
    futures_util::future::join_all(writers).await;
}

async fn verify(directory: &Path, acknowledged: &[String]) {
    let store = open(directory).await;
    let instance = InstanceId(INSTANCE);
    for id in acknowledged {
        let message = store.message(instance, id).await.expect("read");
        assert!(message.is_some(), "{id} was acknowledged and is lost");
    }
    let state = store.session_store(instance).scan(SESSION, "").await.expect("read");
    assert!(state.iter().all(|(_, value)| *value == state[0].1), "half a ratchet");
    let events = store.events_after(Some(instance), None, 1_000_000).await.expect("read");
    assert!((1..).zip(&events).all(|(seq, event)| event.seq == seq), "a gap in the events");
    for event in events {
        let id = event.event.data["id"].as_str().expect("an id");
        let message = store.message(instance, id).await.expect("read");
        assert!(message.is_some(), "an event without its message");
    }
    store.close().await;
}

fn inbound(instance: InstanceId, id: &str) -> InboundRow {
    let peer: flowcore_domain::jid::Jid = PEER.parse().expect("an address");
    InboundRow {
        row_id: Uuid::now_v7().into(),
        event: NewEvent {
            id: EventId(Uuid::now_v7()),
            instance_id: instance,
            kind: EventKind::MessagesUpsert,
            ordering_key: PEER.to_owned(),
            at: NOW,
            data: json!({ "id": id }),
        },
        jobs: vec![],
        message: InboundMessage {
            id: id.to_owned(),
            chat: peer.clone(),
            chat_alt: None,
            sender: peer,
            sender_alt: None,
            from_me: false,
            addressing: Addressing::Pn,
            push_name: None,
            timestamp: NOW.seconds(),
            proto: Bytes::from_static(b"\x0a\x02hi"),
            content: json!({ "conversation": "hi" }),
            kind: "conversation".to_owned(),
            text: Some("hi".to_owned()),
            context: None,
        },
    }
}
