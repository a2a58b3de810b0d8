//! Runs the evaluation of `bench/kb`, or of another folder of its form, and writes run files for its `score.py`.
//!
//! `cargo run -p flowcore-knowledge --example evaluate -- bench/kb OUT [LONGEST]`

use std::io::Write;
use std::path::Path;

use flowcore_knowledge::extract;
use flowcore_knowledge::index::{Index, Source};
use flowcore_knowledge::passages::{LONGEST, Passage, cut};
use flowcore_knowledge::query::{Line, Query, Speaker};
use serde_json::{Value, json};

type Documents = Vec<(String, Vec<Passage>)>;
type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let out = arguments.next().ok_or("where to?")?;
    let longest = arguments.next().map_or(Ok(LONGEST), |text| text.parse())?;
    let (folder, out) = (Path::new(&folder), Path::new(&out));
    let documents = read(folder, longest)?;
    let sources: Vec<Source<'_>> =
        documents.iter().map(|(name, passages)| Source { name, passages }).collect();
    let index = Index::new(&sources);
    println!("{} passages, {} kB", index.len(), index.bytes() >> 10);
    std::fs::create_dir_all(out)?;
    for (questions, run) in
        [("questions.jsonl", "retrieval.jsonl"), ("conversations.jsonl", "conversations.jsonl")]
    {
        let mut file = std::fs::File::create(out.join(run))?;
        for line in std::fs::read_to_string(folder.join(questions))?.lines() {
            writeln!(file, "{}", answer(&index, &documents, &serde_json::from_str(line)?))?;
        }
    }
    Ok(())
}

fn read(folder: &Path, longest: usize) -> Result<Documents, Failure> {
    let files = std::fs::read_dir(folder.join("docs"))?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = files.into_iter().map(|file| file.path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| -> Result<_, Failure> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name")?.to_owned();
        let blocks = extract::read(&name, &std::fs::read(path)?)?;
        Ok((name, cut(&blocks, longest)))
    };
    paths.iter().map(read).collect()
}

fn answer(index: &Index, documents: &Documents, item: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = |said: &Value| Line {
        speaker: if said["role"] == "user" { Speaker::User } else { Speaker::Assistant },
        text: text(&said["text"]),
    };
    let history: Vec<Line> = item["history"].as_array().into_iter().flatten().map(said).collect();
    let question = text(&item["question"]);
    let hits = index.search(&Query::new(&history, &question), 8);
    let passages = hits.into_iter().map(|hit| {
        let (name, passages) = &documents[hit.document];
        json!({ "doc": name, "text": passages[hit.passage].text, "score": hit.score })
    });
    json!({ "id": item["id"], "passages": passages.collect::<Vec<_>>() })
}
