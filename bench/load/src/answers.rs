//! Customers ask an assistant that has documents: how long from the stored message to the request at the
//! provider. The provider is this process, and answers at once.

use crate::figures::Figures;
use crate::receiver;
use crate::stage::Stage;
use crate::times::Times;
use anyhow::Context as _;
use axum::Router;
use axum::extract::{Json, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Passages of one file.
const OF_A_FILE: usize = 500;
const WORDS_OF_A_PASSAGE: usize = 200;
/// Whoever asks more within five minutes is taken for a machine.
const OF_A_PERSON: usize = 15;
const DAY: u64 = 24 * 3600 * 1000;
/// Until documents are read, and the first answer with its index.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passages that are searched for each question
    #[arg(long, default_value_t = 10_000)]
    passages: usize,
    /// Questions, one after the other
    #[arg(long, default_value_t = 50)]
    questions: usize,
}

/// When each question came, in milliseconds since 1970, by its text.
type Asked = Arc<Mutex<HashMap<String, u64>>>;

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let tasks = TaskTracker::new();
    let asked = Asked::default();
    let provider = provider(&tasks, Arc::clone(&asked)).await?;
    let settings = [("FLOWCORE_AI_BASE_URL", provider.as_str()), ("FLOWCORE_AI_MODEL", "bench")];
    let stage = Stage::set_with(sandbox, &settings).await?;
    let number = stage.numbers(0, 1).await?.remove(0);
    let people = stage.phones.people(options.questions.div_ceil(OF_A_PERSON) + 1).await?;
    give_documents(&stage, options.passages).await?;
    let pacing = json!({ "debounceMs": 0, "typing": false });
    let config = json!({ "isActive": true, "pacing": pacing });
    let (status, body) = stage.put("/api/instances/n0/ai", &config).await?;
    anyhow::ensure!(status == 200, "{status} {body}");
    let mut dice = Dice(11);
    for question in 0..=options.questions {
        let text = format!("{question}: {} {} {}?", dice.word(), dice.word(), dice.word());
        let path = format!("/admin/contacts/{}/messages", people[question / OF_A_PERSON]);
        stage.phones.order(&path, &json!({ "to": number, "text": text })).await?;
        until(|| lock(&asked).contains_key(&text)).await?;
    }
    let times = times(&stage, &asked).await?;
    println!("{} of {} questions; from stored to asked: {times}", times.len(), options.questions);
    let mut figures = Figures::default();
    figures.times("asked", &times);
    stage.end().await?;
    Ok(figures)
}

/// Files of made-up words, read and given to the number.
async fn give_documents(stage: &Stage, passages: usize) -> anyhow::Result<()> {
    let mut dice = Dice(7);
    let mut ids = Vec::new();
    for file in 0..passages.div_ceil(OF_A_FILE) {
        let mut text = String::new();
        for passage in 0..OF_A_FILE.min(passages - file * OF_A_FILE) {
            let words: Vec<String> = (0..WORDS_OF_A_PASSAGE).map(|_| dice.word()).collect();
            text.extend([&*format!("# Section {file} {passage}\n\n"), &words.join(" "), "\n\n"]);
        }
        ids.push(stage.upload(&format!("made-{file}.md"), &text).await?);
    }
    let began = Instant::now();
    let mut all = 0;
    for id in ids {
        loop {
            let document = stage.get(&format!("/api/documents/{id}")).await?;
            if document["status"] == "indexed" {
                all += document["passages"].as_u64().context("passages")?;
                break;
            }
            anyhow::ensure!(document["status"] != "failed", "{document}");
            anyhow::ensure!(began.elapsed() < PATIENCE, "not read in time");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (status, _) =
            stage.api(&format!("/api/instances/n0/documents/{id}"), &Value::Null).await?;
        anyhow::ensure!(status == 204, "{status}");
    }
    println!("{all} passages, read in {:.1?}", began.elapsed());
    Ok(())
}

/// The first question makes the index and does not count.
async fn times(stage: &Stage, asked: &Asked) -> anyhow::Result<Times> {
    let list = stage.get("/api/conversations?instanceName=n0").await?;
    let mut times = Times::default();
    for conversation in list["data"].as_array().context("conversations")? {
        let id = conversation["id"].as_str().context("an id")?;
        let said = stage.get(&format!("/api/conversations/{id}/messages?limit=200")).await?;
        for one in said["data"].as_array().context("messages")? {
            let (Some(text), Some(stored)) = (one["content"].as_str(), one["createdAt"].as_str())
            else {
                continue;
            };
            let came = lock(asked).get(text).copied().filter(|_| !text.starts_with("0:"));
            let Some(came) = came else { continue };
            let stored = of_day(stored).context("a time")?;
            times.add(Duration::from_millis((came % DAY + DAY - stored) % DAY));
        }
    }
    Ok(times)
}

/// The milliseconds since midnight of a time in RFC 3339.
fn of_day(time: &str) -> Option<u64> {
    let clock = time.split_once('T')?.1.strip_suffix('Z')?;
    let mut parts = clock.split([':', '.']).map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    Some(((next()? * 60 + next()?) * 60 + next()?) * 1000 + next()?)
}

async fn until(holds: impl Fn() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !holds() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the provider was not asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn lock(asked: &Asked) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A provider that speaks as `OpenAI` does; its address.
async fn provider(tasks: &TaskTracker, asked: Asked) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let routes = Router::new().route("/v1/chat/completions", post(answer)).with_state(asked);
    tasks.spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

async fn answer(State(asked): State<Asked>, Json(request): Json<Value>) -> impl IntoResponse {
    let now = u64::try_from(receiver::now().as_millis()).unwrap_or(u64::MAX);
    let turns = request["messages"].as_array();
    let question = turns.and_then(|turns| turns.last()?["content"].as_str());
    let question = question.unwrap_or_default().to_owned();
    let said = json!({ "choices": [{ "delta": { "content": format!("Answer to {question}") } }] });
    lock(&asked).entry(question).or_insert(now);
    let body = format!("data: {said}\n\ndata: [DONE]\n\n");
    ([(CONTENT_TYPE, "text/event-stream")], body)
}

/// Words of a made-up language, the common ones often.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn word(&mut self) -> String {
        let syllables = ["ka", "lo", "mi", "ren", "tos", "vu", "sha", "per", "ni", "gol"];
        // As often as its rank is small: a power of two below a hundred thousand.
        let mut rest = self.roll() % (1 << (self.roll() % 17)) + 10;
        let mut word = String::new();
        while rest > 0 {
            word.push_str(syllables[usize::try_from(rest % 10).unwrap_or(0)]);
            rest /= 10;
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read() {
        assert_eq!(of_day("2026-11-22T01:02:03.004Z"), Some(3_723_004));
        assert_eq!(of_day("2026-11-22"), None);
    }
}
