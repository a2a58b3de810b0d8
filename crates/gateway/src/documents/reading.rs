//! Reading a file in a process of its own, with limits: what breaks a parser breaks that process only.
//!
//! The server's own binary is started again with the word `extract`. The child gets no environment, limits
//! itself before it reads the first byte, and answers on stdout with passages or with why there are none. The parent believes
//! neither its length nor that it ends.

use flowcore_knowledge::extract::{self, Unreadable};
use flowcore_knowledge::passages::{LONGEST, Passage, cut};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// The word that makes a binary of ours a reader.
const WORD: &str = "extract";
/// Most memory that a reader may ask for.
const MEMORY: u64 = 768 << 20;
/// Most seconds of a processor that a reader may take.
const CPU_SECONDS: u64 = 40;
/// How long a reader may take, however little of a processor it gets.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most bytes of an answer: the most text of a document, with what JSON and headings add to it.
const MOST_ANSWER: u64 = 4 * extract::MOST_TEXT as u64;
/// Longest file, whatever the parent sends.
const MOST_INPUT: u64 = 2 * super::MAX_DOCUMENT as u64;

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Passages(Vec<Passage>),
    Unreadable(String),
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadingError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the file needs more memory to be read than a file may: save it anew, or split it")]
    TooMuchMemory,
    #[error("the file takes too long to be read: save it anew, or split it")]
    TimedOut,
    #[error("the file broke the program that reads it: save it anew in another format")]
    Crashed,
}

impl ReadingError {
    /// The word for it that programs switch on.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unreadable(why) => why.code(),
            Self::TooMuchMemory => "too_much_memory",
            Self::TimedOut => "reading_timed_out",
            Self::Crashed => "reading_failed",
        }
    }
}

/// Does a reader's work when this process was started as one; `None` otherwise. Call it first in `main`.
#[must_use]
pub fn as_child() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let name = format!("file.{}", arguments.next().unwrap_or_default());
    Some(match answer(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn answer(name: &str) -> std::io::Result<()> {
    let most = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::As, most(MEMORY))?;
    setrlimit(Resource::Cpu, most(CPU_SECONDS))?;
    setrlimit(Resource::Fsize, most(0))?;
    setrlimit(Resource::Core, most(0))?;
    // A panic is an answer; what it says is of no use to anybody.
    std::panic::set_hook(Box::new(|_| {}));
    let mut bytes = Vec::new();
    std::io::stdin().take(MOST_INPUT).read_to_end(&mut bytes)?;
    let said = match extract::read(name, &bytes) {
        Ok(blocks) => Answer::Passages(cut(&blocks, LONGEST)),
        Err(why) => Answer::Unreadable(why.code().to_owned()),
    };
    std::io::stdout().write_all(&serde_json::to_vec(&said)?)
}

/// The passages of a file that is called `name`, read by a child of the program `reader`.
pub(crate) async fn passages(
    reader: &Path,
    name: &str,
    bytes: Vec<u8>,
) -> Result<Vec<Passage>, ReadingError> {
    match tokio::time::timeout(PATIENCE, ask(reader, name, bytes)).await {
        Ok(read) => read,
        // The child was killed with its handle.
        Err(_) => Err(ReadingError::TimedOut),
    }
}

async fn ask(reader: &Path, name: &str, bytes: Vec<u8>) -> Result<Vec<Passage>, ReadingError> {
    let broken = |error: std::io::Error| {
        tracing::error!(%error, "the reader of documents does not run");
        ReadingError::Crashed
    };
    let mut child = Command::new(reader)
        .args([WORD, &extension(name)])
        .env_clear()
        // The allocator takes address space in advance, which the limit counts as used.
        .envs([("MIMALLOC_ARENA_RESERVE", "0"), ("MIMALLOC_PURGE_DELAY", "0")])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A child that stopped listening tells why by how it ends.
            let _ = stdin.write_all(&bytes).await;
        }
    };
    let read = async {
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST_ANSWER + 1).read_to_end(&mut said).await?;
        }
        Ok(said)
    };
    let ((), said) = tokio::join!(write, read);
    let said = said.map_err(broken)?;
    if said.len() as u64 > MOST_ANSWER {
        return Err(Unreadable::TooLong.into());
    }
    let ended = child.wait().await.map_err(broken)?;
    if !ended.success() {
        return Err(fate(ended));
    }
    match serde_json::from_slice(&said) {
        Ok(Answer::Passages(passages)) if passages.is_empty() => Err(Unreadable::Empty.into()),
        Ok(Answer::Passages(passages)) => Ok(passages),
        Ok(Answer::Unreadable(code)) => {
            Err(Unreadable::of_code(&code).unwrap_or(Unreadable::Damaged).into())
        }
        Err(_) => Err(ReadingError::Crashed),
    }
}

/// How a child ended that did not answer: Rust aborts when memory is refused, the kernel says when time is up.
fn fate(ended: std::process::ExitStatus) -> ReadingError {
    use std::os::unix::process::ExitStatusExt as _;
    const ABORTED: i32 = 6;
    const KILLED: i32 = 9;
    const SEGMENT: i32 = 11;
    const CPU: i32 = 24;
    match ended.signal() {
        Some(ABORTED) => ReadingError::TooMuchMemory,
        // The hard limit of processor time equals the soft one: the kernel may kill at once.
        Some(CPU | KILLED) => ReadingError::TimedOut,
        Some(SEGMENT) => ReadingError::Crashed,
        _ => ReadingError::Crashed,
    }
}

/// The end of a name, for the child to tell Markdown from tables.
fn extension(name: &str) -> String {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    end.chars().filter(char::is_ascii_alphanumeric).take(10).collect()
}
