//! A process that is killed in the middle of its writes, or of a migration: what it was told is stored is
//! there, and nothing is half. The test starts itself again as the process that is killed.

use crate::harness::{Harness, Kind, NOW, fresh, inbound, options};
use crate::maintenance::back_to_the_first_version;
use crate::raw::Raw;
use flowcore_domain::id::InstanceId;
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_storage::{DatabaseOptions, NewInstance, OpenError, Store, StoreOptions};
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
const PEER: &str = "5511988887777@s.whatsapp.net";
const SESSION: Namespace = Namespace("session");
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages that a migration has to go through, so that there is something to interrupt.
const OLD_MESSAGES: usize = 3000;
/// Tell the process that is killed where to write: its folder, and on PostgreSQL address and schema.
const FOLDER: &str = "FLOWCORE_TORTURE_FOLDER";
const URL: &str = "FLOWCORE_TORTURE_URL";
const SCHEMA: &str = "FLOWCORE_TORTURE_SCHEMA";
/// What `cargo test` calls the test that plays that process.
const VICTIM: &str = "torture::the_process_that_is_killed";

pub(crate) async fn nothing_acknowledged_is_lost_when_the_process_is_killed(kind: Kind) {
    let acknowledged = killed_in_writes(kind, 5).await;
    assert!(acknowledged > 50, "too little was written: {acknowledged}");
}

pub(crate) async fn a_migration_that_is_cut_off_is_finished_by_the_next_start(kind: Kind) {
    killed_in_migrations(kind, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: scripts/soak killed_store"]
async fn soak_killed_store() {
    a_hundred_kills(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: scripts/soak killed_store_on_postgres"]
async fn soak_killed_store_on_postgres() {
    a_hundred_kills(Kind::Postgres).await;
}

async fn a_hundred_kills(kind: Kind) {
    let acknowledged = killed_in_writes(kind, 70).await;
    println!("{kind:?}: {acknowledged} acknowledged writes over 70 kills, all there");
    killed_in_migrations(kind, 30).await;
    println!("{kind:?}: 30 kills in migrations, nothing lost");
}

/// Kills in the middle of writes; how many of them were acknowledged.
async fn killed_in_writes(kind: Kind, rounds: u32) -> usize {
    let (folder, database) = (tempfile::tempdir().expect("a folder"), kind.fresh());
    let options = options(folder.path(), &database);
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let mut victim = Victim::start(&options);
        // Another moment each time: while it opens, and after ever more writes.
        victim.read_until(&mut acknowledged, (round * 37) % 300);
        if kind == Kind::Sqlite {
            look_at_a_copy(&mut victim, &options, &acknowledged).await;
        }
        victim.kill(&mut acknowledged);
        verify(&options, &acknowledged).await;
    }
    acknowledged.len()
}

/// A copy of the files as they are in the middle of a write is as good as the files after a crash.
async fn look_at_a_copy(victim: &mut Victim, options: &StoreOptions, acknowledged: &[String]) {
    let copy = tempfile::tempdir().expect("a folder");
    victim.pause();
    for entry in std::fs::read_dir(&options.data_dir).expect("a folder") {
        let file = entry.expect("an entry").path();
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, copy.path().join(name)).expect("copied");
    }
    victim.go_on();
    if copy.path().join("flowcore.db").exists() {
        let options = StoreOptions { data_dir: copy.path().to_owned(), ..options.clone() };
        verify(&options, acknowledged).await;
    }
}

/// Kills a process that brings an old schema up to date.
async fn killed_in_migrations(kind: Kind, rounds: u32) {
    let seed = rand::random::<u64>();
    println!("the moments come from seed {seed}");
    let mut moments = rand::rngs::StdRng::seed_from_u64(seed);
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let rows = (0..OLD_MESSAGES).map(|number| inbound(id, PEER, &number.to_string())).collect();
    harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
    harness.store.close().await;
    for _ in 0..rounds {
        let mut raw = harness.raw().await;
        back_to_the_first_version(&mut raw).await;
        drop(raw);
        let victim = Victim::start(&harness.options());
        let moment = Duration::from_millis(moments.random_range(5..250));
        // The moment of the kill is the point of it: no event to wait for.
        tokio::time::sleep(moment).await;
        victim.kill(&mut Vec::new());
        let store = open(&harness.options()).await;
        let last = (OLD_MESSAGES - 1).to_string();
        assert!(store.message(id, &last).await.expect("read").is_some(), "history is lost");
        let found = store.search_messages(id, "hi", None, OLD_MESSAGES).await.expect("searched");
        assert!(found.len() >= 500, "the index is half: {}", found.len());
        store.close().await;
    }
}

/// The process that is killed.
struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(options: &StoreOptions) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args([VICTIM, "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, &options.data_dir)
            .stdout(Stdio::piped());
        if let DatabaseOptions::Postgres { url, schema } = &options.database {
            command.env(URL, url).env(SCHEMA, schema);
        }
        let mut process = command.spawn().expect("starts");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        Self { process, lines }
    }

    /// Reads until it has told so many more writes.
    fn read_until(&mut self, acknowledged: &mut Vec<String>, wanted: u32) {
        let mut told = 0;
        while told < wanted {
            let line = self.lines.next().expect("it writes on").expect("text");
            if let Some(id) = line.strip_prefix("stored ") {
                acknowledged.push(id.to_owned());
                told += 1;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("not zero"), signal).expect("signalled");
    }

    fn pause(&mut self) {
        self.signal(Signal::STOP);
        // Until it stands still, its files move.
        let state = format!("/proc/{}/stat", self.process.id());
        let begun = Instant::now();
        while !std::fs::read_to_string(&state).expect("its state").contains(") T ") {
            assert!(begun.elapsed() < PATIENCE, "it does not stop");
            std::thread::yield_now();
        }
    }

    fn go_on(&mut self) {
        self.signal(Signal::CONT);
    }

    fn kill(mut self, acknowledged: &mut Vec<String>) {
        self.process.kill().expect("killed");
        // What it told before it died counts too.
        let rest = self.lines.map_while(Result::ok);
        acknowledged.extend(rest.filter_map(|line| Some(line.strip_prefix("stored ")?.to_owned())));
        self.process.wait().expect("dead");
    }
}

/// Several phones' worth of writes at once, each told when it is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the tests of this page, to be killed"]
#[expect(clippy::disallowed_methods, reason = "messages to itself, no settings")]
async fn the_process_that_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let database = match (std::env::var(URL), std::env::var(SCHEMA)) {
        (Ok(url), Ok(schema)) => DatabaseOptions::Postgres { url, schema },
        _ => DatabaseOptions::DataDirectory,
    };
    let store = open(&options(Path::new(&folder), &database)).await;
    if store.instance(INSTANCE).await.expect("read").is_none() {
        let user = store.ensure_admin(fresh(), None, NOW).await.expect("an admin").user_id;
        let name = format!("t{}", Uuid::now_v7().simple()).parse().expect("a name");
        let new = NewInstance { id: INSTANCE, user_id: user, name, now: NOW };
        store.create_instance(new, vec![]).await.expect("made");
    }
    let writers = (0..8).map(|_| async {
        let session = store.session_store(INSTANCE);
        loop {
            let id = Uuid::now_v7().simple().to_string();
            // The halves of a ratchet: one without the other is a broken session.
            let halves =
                ["sending", "receiving"].map(|half| Change::put(SESSION, half, id.clone()));
            session.apply(halves.to_vec()).await.expect("applied");
            let mut row = inbound(INSTANCE, PEER, &id);
            row.event.data = json!({ "id": id });
            store.commit_inbound(INSTANCE, vec![row], NOW).await.expect("stored");
            let mut out = std::io::stdout().lock();
            writeln!(out, "stored {id}").and_then(|()| out.flush()).expect("told");
        }
    });
    futures_util::future::join_all(writers).await;
}

/// PostgreSQL notices a moment later that the one before is gone.
async fn open(options: &StoreOptions) -> Store {
    let begun = Instant::now();
    loop {
        match Store::open(options.clone()).await {
            Err(OpenError::InUse { .. }) if begun.elapsed() < PATIENCE => {
                tokio::task::yield_now().await;
            }
            opened => return opened.expect("opens"),
        }
    }
}

async fn verify(options: &StoreOptions, acknowledged: &[String]) {
    let store = open(options).await;
    let stored = Raw::connect(options).await.texts("SELECT wa_id FROM messages").await;
    let stored: HashSet<String> = stored.into_iter().collect();
    for id in acknowledged {
        assert!(stored.contains(id), "{id} was acknowledged and is lost");
    }
    let state = store.session_store(INSTANCE).scan(SESSION, "").await.expect("read");
    assert!(state.iter().all(|(_, value)| *value == state[0].1), "half a ratchet");
    let events = store.events_after(Some(INSTANCE), None, 1_000_000).await.expect("read");
    assert!((1..).zip(&events).all(|(seq, event)| event.seq == seq), "a gap in the events");
    for event in events {
        let id = event.event.data["id"].as_str().expect("an id");
        assert!(stored.contains(id), "an event without its message");
    }
    store.close().await;
}
