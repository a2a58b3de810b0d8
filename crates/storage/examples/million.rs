//! How a store with a long history opens, pages and searches. `cargo run --release -p flowcore-storage
//! --example million -- [messages] [postgres://…]`

use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{Addressing, InboundMessage};
use flowcore_storage::{
    DatabaseOptions, InboundRow, Mark, MasterKey, MessageCursor, NewInstance, Store, StoreOptions,
};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

const NOW: Millis = Millis(1_767_603_600_000);
const INSTANCES: usize = 100;
const CHATS: usize = 50;
/// Messages of one transaction while the history is made.
const AT_ONCE: usize = 500;
const ROUNDS: usize = 300;
const WORDS: [&str; 16] = [
    "order", "parcel", "blue", "shirt", "size", "when", "does", "the", "shop", "open", "tomorrow",
    "thanks", "invoice", "größe", "entrega", "amanhã",
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let messages: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let options = StoreOptions {
        data_dir: directory.path().to_path_buf(),
        database: DatabaseOptions::parse(arguments.next().as_deref(), None)?,
        mark: Mark::Sandbox,
        master_key: Some(MasterKey::generate()),
    };
    let store = Store::open(options.clone()).await?;
    let instances = fill(&store, messages).await?;
    store.close().await;

    let mut openings = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let store = Store::open(options.clone()).await?;
        openings.push(start.elapsed());
        store.close().await;
    }
    report("opening", openings);
    let store = Store::open(options).await?;
    let mut dice = rand::rngs::StdRng::seed_from_u64(7);
    let (mut pages, mut deep, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let instance = instances[dice.random_range(0..instances.len())];
        let chat = chat(dice.random_range(0..CHATS));
        let start = Instant::now();
        let page = store.messages_of_chat(instance, &chat, None, 50).await?;
        pages.push(start.elapsed());
        let last = page.last();
        let last = last.map(|message| MessageCursor { at: message.at, row_id: message.row_id });
        let start = Instant::now();
        store.messages_of_chat(instance, &chat, last, 50).await?;
        deep.push(start.elapsed());
        let words = format!("{} {}", word(&mut dice), word(&mut dice));
        let start = Instant::now();
        store.search_messages(instance, &words, None, 50).await?;
        searches.push(start.elapsed());
    }
    report("a page of 50 of a chat", pages);
    report("the page after it", deep);
    report("a search of two words", searches);
    store.close().await;
    Ok(())
}

async fn fill(store: &Store, messages: usize) -> Result<Vec<InstanceId>, Failure> {
    let user_id = UserId(Uuid::now_v7());
    store.ensure_admin(user_id, None, NOW).await?;
    let mut instances = Vec::with_capacity(INSTANCES);
    for index in 0..INSTANCES {
        let id = InstanceId(Uuid::now_v7());
        let name = format!("phone-{index}").parse()?;
        store.create_instance(NewInstance { id, user_id, name, now: NOW }, vec![]).await?;
        instances.push(id);
    }
    let mut dice = rand::rngs::StdRng::seed_from_u64(1);
    let start = Instant::now();
    for first in (0..messages).step_by(AT_ONCE) {
        let instance = instances[(first / AT_ONCE) % instances.len()];
        let rows = (first..messages.min(first + AT_ONCE))
            .map(|number| message(instance, number, &mut dice))
            .collect();
        store.commit_inbound(instance, rows, NOW).await?;
    }
    println!("{messages} messages of {INSTANCES} instances written in {:.0?}", start.elapsed());
    Ok(instances)
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p50 {:.2?}, p99 {:.2?}, slowest {:.2?}", at(50), at(99), at(100));
}

fn word(dice: &mut rand::rngs::StdRng) -> &'static str {
    WORDS[dice.random_range(0..WORDS.len())]
}

fn chat(number: usize) -> Jid {
    format!("55119{number:08}@s.whatsapp.net").parse().expect("an address")
}

fn message(instance: InstanceId, number: usize, dice: &mut rand::rngs::StdRng) -> InboundRow {
    let chat = chat(dice.random_range(0..CHATS));
    let text: Vec<&str> = (0..dice.random_range(3..12)).map(|_| word(dice)).collect();
    let text = text.join(" ");
    let at = Millis(NOW.0 + i64::try_from(number).expect("a small number") * 1000);
    let event = NewEvent {
        id: Uuid::now_v7().into(),
        instance_id: instance,
        kind: EventKind::MessagesUpsert,
        ordering_key: chat.to_string(),
        at,
        data: json!({ "messageType": "conversation", "message": { "conversation": text } }),
    };
    let message = InboundMessage {
        id: format!("3EB0{number:016X}"),
        chat: chat.clone(),
        chat_alt: None,
        sender: chat,
        sender_alt: None,
        from_me: false,
        addressing: Addressing::Pn,
        push_name: Some("Alice".to_owned()),
        timestamp: at.seconds(),
        proto: Bytes::from(text.clone()),
        content: json!({ "conversation": text }),
        kind: "conversation".to_owned(),
        text: Some(text),
        context: None,
    };
    InboundRow {
        row_id: Uuid::now_v7().into(),
        message,
        event,
        introduction: vec![],
        renamed: None,
        consequences: vec![],
        jobs: vec![],
    }
}
