//! Whatever customer, owner, assistant, support, time and restarts do, and in whatever order: after a takeover no
//! message of the assistant leaves, nobody waits without an owner, and each change has its row.
//!
//! A case is a few rounds. In each the customer writes while the assistant is at work, somebody takes the
//! conversation over in the middle of it, things happen, and it goes back. In most of them the database takes no
//! writes for a while: then the answer and the takeover stand before the store together.
//!
//! What is held against it: the person who took over says a mark at once and another before giving it back, and
//! between the two the customer's phone may show nothing of the assistant; and of all events, in their order,
//! none of a message of the assistant comes while the last one about the owner names somebody else.

use super::{count, got, hire, set_up, texts_of, until, waits, writes};
use crate::events::Listener;
use crate::harness::{DEADLINE, TestClock, TestServer, answer, text};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the assistant's answers begin with: the model double has no passages.
const ASSISTANT: &str = "The passages I was given";
/// The last thing that anybody says.
const LAST: &str = "begin the last.";
const CASES: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Asks,
    OptsOut,
    WantsPerson,
    OwnerWrites,
    SupportWrites,
    DayPasses,
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Take {
    Api,
    Phone,
    Keyword,
    Escalate,
}

#[derive(Debug, Clone, Copy)]
enum Back {
    Release,
    Resolve,
    Command,
}

/// The database takes no writes while the model thinks, and for a while after it. In milliseconds.
#[derive(Debug, Clone, Copy)]
struct Frozen {
    /// When the conversation is taken over.
    take: u64,
    /// How long after that the database takes writes again.
    thaw: u64,
}

#[derive(Debug, Clone)]
struct Round {
    before: Vec<Act>,
    /// How long the model thinks, in milliseconds.
    thinks: u64,
    take: Take,
    frozen: Option<Frozen>,
    during: Vec<Act>,
    back: Back,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    use Act::{Asks, DayPasses, OptsOut, OwnerWrites, Restart, SupportWrites, WantsPerson};
    let before =
        prop_oneof![6 => Just(Asks), 1 => Just(OptsOut), 1 => Just(DayPasses), 1 => Just(Restart)];
    let during = prop_oneof![
        4 => Just(Asks), 1 => Just(OptsOut), 2 => Just(WantsPerson), 1 => Just(OwnerWrites),
        2 => Just(SupportWrites), 1 => Just(DayPasses), 1 => Just(Restart),
    ];
    let take =
        prop_oneof![Just(Take::Api), Just(Take::Phone), Just(Take::Keyword), Just(Take::Escalate)];
    let back = prop_oneof![Just(Back::Release), Just(Back::Resolve), Just(Back::Command)];
    let round = (
        prop::collection::vec(before, 1..4),
        prop_oneof![Just(0), 1..300_u64],
        take,
        prop::option::weighted(
            0.75,
            (0..400_u64, 50..200_u64).prop_map(|(take, thaw)| Frozen { take, thaw }),
        ),
        prop::collection::vec(during, 0..4),
        back,
    );
    let round = round.prop_map(|(before, thinks, take, frozen, during, back)| Round {
        before,
        thinks,
        take,
        frozen,
        during,
        back,
    });
    prop::collection::vec(round, 1..4)
}

/// Everybody of a case.
struct Play {
    server: Option<TestServer>,
    clock: Arc<TestClock>,
    shop: String,
    ana: String,
    tom: String,
    said: usize,
    /// The first event of all.
    first: String,
    /// A day has passed.
    leapt: bool,
}

impl Play {
    async fn open() -> Self {
        let clock = Arc::new(TestClock::default());
        let own = Arc::clone(&clock);
        let server = TestServer::start_with(|config| config.clock = own).await;
        let mut events = Listener::open(&server, "").await;
        let shop = server.linked("shop").await;
        let (first, _) = events.until("instance.create").await;
        let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
        set_up(&server, &[&tom]).await;
        hire(&server, json!({ "optOutWords": ["stop"] })).await;
        Self { server: Some(server), clock, shop, ana, tom, said: 0, first, leapt: false }
    }

    fn server(&self) -> &TestServer {
        self.server.as_ref().expect("it runs")
    }

    async fn customer(&self, what: String) {
        writes(self.server(), &self.ana, json!({ "to": self.shop, "text": what })).await;
    }

    async fn owner(&self, what: String) {
        let path = format!("/admin/mock-phone/{}/messages", self.shop);
        self.server().phones(&path, json!({ "to": self.ana, "text": what })).await;
    }

    async fn act(&mut self, act: Act) {
        self.said += 1;
        let number = self.said;
        match act {
            Act::Asks => self.customer(format!("Question {number}?")).await,
            Act::OptsOut => self.customer("stop".to_owned()).await,
            Act::WantsPerson => self.customer(format!("human {number}")).await,
            Act::OwnerWrites => self.owner(format!("Owner {number}")).await,
            Act::SupportWrites => {
                let reply = json!({ "to": self.shop, "text": format!("Reply {number}") });
                writes(self.server(), &self.tom, reply).await;
            }
            Act::DayPasses => {
                // Who can't be told for a day is given up; that is another test's.
                self.everybody_was_told().await;
                self.clock.advance(Duration::from_secs(25 * 3600));
                self.leapt = true;
            }
            Act::Restart => {
                let server = self.server.take().expect("it runs");
                let clock = Arc::clone(&self.clock);
                let server = server.restarted_with(|config| config.clock = clock).await;
                server.until_status("shop", "connected").await;
                self.server = Some(server);
            }
        }
    }

    /// The customer's conversation, if one is under way.
    async fn talk(&self) -> Option<Value> {
        let (status, list) = self.server().get("/api/conversations?limit=500").await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let all = list["data"].as_array().expect("rows");
        let own = |row: &&Value| {
            row["contact"]["phone"] == self.ana.as_str() && row["status"] != "expired"
        };
        all.iter().find(own).cloned()
    }

    /// Somebody takes it over; the conversation that they have then.
    async fn take(&mut self, take: Take) -> String {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < DEADLINE, "{take:?} comes to nothing");
            match take {
                Take::Phone if began.elapsed() < Duration::from_secs(1) => {
                    self.act(Act::OwnerWrites).await;
                }
                Take::Keyword if began.elapsed() < Duration::from_secs(1) => {
                    self.act(Act::WantsPerson).await;
                }
                _ => {}
            }
            let Some(talk) = self.talk().await else {
                // It ended before it could be taken over.
                self.customer("Hello again".to_owned()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let id = text(&talk["id"]);
            let step = match take {
                Take::Api => "takeover",
                Take::Escalate => "escalate",
                Take::Phone | Take::Keyword if talk["owner"] == "human" => return id,
                Take::Phone | Take::Keyword => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let path = format!("/api/conversations/{id}/{step}");
            let (status, now) = answer(self.server().api(Method::POST, &path)).await;
            if status == StatusCode::OK && now["owner"] == "human" {
                return id;
            }
        }
    }

    async fn says(&self, id: &str, what: &str) {
        let path = format!("/api/conversations/{id}/messages");
        let began = Instant::now();
        loop {
            let (status, sent) = self.server().post(&path, json!({ "message": what })).await;
            if status == StatusCode::CREATED {
                break;
            }
            // It may be on its way back from a restart.
            assert_eq!(sent["code"], "instance_not_connected", "{sent}");
            assert!(began.elapsed() < DEADLINE, "{sent}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        got(self.server(), &self.ana, what).await;
    }

    async fn back(&self, id: &str, back: Back) {
        let (_, now) = self.server().get(&format!("/api/conversations/{id}")).await;
        match back {
            Back::Resolve if now["status"] == "escalated" => {
                super::resolve(self.server(), &waits(self.server(), &self.ana).await).await;
            }
            Back::Command if now["status"] == "escalated" => {
                // A support contact is told before they can obey.
                self.everybody_was_told().await;
                let open = waits(self.server(), &self.ana).await;
                let done = json!({ "to": self.shop, "text": "#resolve" });
                writes(self.server(), &self.tom, done).await;
                // Not until the conversation is the assistant's: she may have asked for a person again.
                until(self.server(), "/api/escalations?status=resolved&limit=1000", |row| {
                    row["id"] == open["id"]
                })
                .await;
            }
            _ => {
                let path = format!("/api/conversations/{id}/release");
                let (status, now) = answer(self.server().api(Method::POST, &path)).await;
                assert_eq!(status, StatusCode::OK, "{now}");
            }
        }
    }

    async fn round(&mut self, number: usize, round: &Round) {
        let thinks = vec![json!({ "delayMs": round.thinks }); 40];
        self.server().script("chat", Value::Array(thinks)).await;
        for act in &round.before {
            self.act(*act).await;
        }
        let id = match round.frozen {
            None => self.take(round.take).await,
            Some(frozen) => self.take_frozen(round.take, frozen).await,
        };
        self.says(&id, &format!("begin {number}.")).await;
        for act in &round.during {
            self.act(*act).await;
        }
        self.says(&id, &format!("end {number}.")).await;
        self.back(&id, round.back).await;
    }

    /// Somebody takes it over while the assistant is at work and the database takes no writes.
    async fn take_frozen(&mut self, take: Take, frozen: Frozen) -> String {
        self.thinks_about_a_question().await;
        let lock = self.freeze().await;
        // A write that stands first: those after it are one group when the time comes.
        self.act(Act::Asks).await;
        // How the two meet is what the case is about: there is no event to wait for.
        tokio::time::sleep(Duration::from_millis(frozen.take)).await;
        let thaw = async {
            tokio::time::sleep(Duration::from_millis(frozen.thaw)).await;
            lock.close().await.expect("the lock is given back");
        };
        tokio::join!(self.take(take), thaw).0
    }

    /// The customer asks, and the model is at work on it; or nobody answers her at all.
    async fn thinks_about_a_question(&mut self) {
        let asked = self.requests().await;
        self.act(Act::Asks).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) && self.requests().await == asked {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How often the model was asked.
    async fn requests(&self) -> usize {
        let url = format!("{}/admin/model/requests", self.server().network.base_url(false));
        let (_, body) = answer(self.server().http.get(url)).await;
        body["requests"].as_array().expect("requests").len()
    }

    /// Another process has the database for itself, until it closes its connection.
    async fn freeze(&self) -> SqliteConnection {
        let file = self.server().folder.path().join("flowcore.db");
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(DEADLINE);
        let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
        other
    }

    /// By the order of events, the assistant speaks only while nobody else has the conversation.
    async fn the_assistant_spoke_in_its_turn(&self) {
        let mut events = Listener::open(self.server(), &format!("?after={}", self.first)).await;
        let (_, talks) = self.server().get("/api/conversations?limit=500").await;
        let talks = talks["data"].as_array().expect("rows").iter();
        let of_ana = talks.filter(|talk| talk["contact"]["phone"] == self.ana.as_str());
        let of_ana: HashSet<String> = of_ana.map(|talk| text(&talk["id"])).collect();
        let mut owner = "ai".to_owned();
        loop {
            let (_, body) = events.next().await.expect("the stream goes on");
            let data = &body["data"];
            let said = data["message"]["conversation"].as_str().unwrap_or_default();
            let addresses = [&data["key"]["remoteJid"], &data["key"]["remoteJidAlt"]];
            let to_ana = addresses
                .iter()
                .any(|one| one.as_str().is_some_and(|one| one.starts_with(&self.ana)));
            match body["event"].as_str() {
                Some("conversation.owner") if of_ana.contains(&text(&data["conversationId"])) => {
                    owner = text(&data["owner"]);
                }
                Some("send.message") if said == LAST => return,
                Some("send.message") if to_ana && said.starts_with(ASSISTANT) => {
                    // Who was left alone for long begins a new conversation.
                    let free = owner == "ai" || owner == "closed";
                    assert!(free, "{owner} has the conversation: {body}");
                }
                _ => {}
            }
        }
    }

    /// Between the marks of a person the phone shows nothing of the assistant.
    async fn nobody_was_talked_over(&self) {
        let mut taken = None;
        for message in texts_of(self.server(), &self.ana).await {
            let said = message["text"].as_str().unwrap_or_default();
            if said.starts_with("begin ") {
                taken = Some(said.to_owned());
            } else if said.starts_with("end ") {
                taken = None;
            }
            assert!(!(taken.is_some() && said.starts_with(ASSISTANT)), "after {taken:?}: {said}");
        }
    }

    /// Every change has its row, one leads to the next, and who waits has a person.
    async fn the_books_are_right(&self) {
        let (_, talks) = self.server().get("/api/conversations?limit=500").await;
        let (_, open) = self.server().get("/api/escalations?limit=1000").await;
        let open = open["data"].as_array().expect("rows");
        for talk in talks["data"].as_array().expect("rows") {
            let path = format!("/api/conversations/{}", text(&talk["id"]));
            let (_, talk) = self.server().get(&path).await;
            let mut stands = (json!("ai"), json!("active"));
            for (row, version) in talk["transitions"].as_array().expect("rows").iter().zip(1..) {
                assert_eq!(row["version"], version, "{talk}");
                assert_eq!(
                    (&row["fromOwner"], &row["fromStatus"]),
                    (&stands.0, &stands.1),
                    "{talk}"
                );
                stands = (row["toOwner"].clone(), row["toStatus"].clone());
            }
            assert_eq!((&talk["owner"], &talk["status"]), (&stands.0, &stands.1), "{talk}");
            let waiting = open.iter().filter(|row| row["conversationId"] == talk["id"]).count();
            assert_eq!(waiting, usize::from(talk["status"] == "escalated"), "{talk}");
            assert!(talk["status"] != "escalated" || talk["owner"] == "human", "{talk}");
        }
    }

    /// The support phone was told of each customer who was handed over, once.
    async fn everybody_was_told(&self) {
        let (_, all) = self.server().get("/api/escalations?status=all&limit=1000").await;
        let called = all["data"].as_array().expect("rows").len();
        let began = Instant::now();
        loop {
            let told = count(self.server(), &self.tom, "wa.me").await;
            // A day that passes in the middle of a job takes its lease and its key: it is done again.
            if told == called || (self.leapt && told > called) {
                return;
            }
            assert!(
                began.elapsed() < DEADLINE,
                "of {called} who wait, each once: told {told} times"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn play(rounds: Vec<Round>) {
    let mut play = Play::open().await;
    for (number, round) in rounds.iter().enumerate() {
        play.round(number, round).await;
    }
    let id = play.take(Take::Api).await;
    play.says(&id, LAST).await;
    play.nobody_was_talked_over().await;
    play.the_assistant_spoke_in_its_turn().await;
    play.the_books_are_right().await;
    play.everybody_was_told().await;
    play.server.take().expect("it runs").stop().await;
}

#[test]
fn whatever_happens_no_machine_talks_over_a_person_and_nobody_waits_alone() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config {
        cases: CASES,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let ran = runner.run(&rounds(), |rounds| {
        runtime.block_on(play(rounds));
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}
