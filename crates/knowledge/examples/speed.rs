//! How long a search takes among many passages: `cargo run --release -p flowcore-knowledge --example speed -- 100000`
//!
//! The passages are made: two hundred words each, of a hundred thousand that are as unevenly common as words are.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "dice"
)]

use std::time::Instant;

use flowcore_knowledge::index::{Digest, Index, Source};
use flowcore_knowledge::passages::Passage;
use flowcore_knowledge::query::Query;
use flowcore_knowledge::vectors::Matrix;

const WORDS: u64 = 100_000;
const SEARCHES: u32 = 200;
const DIMENSION: usize = 384;

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A word, the common ones often: its rank falls off as Zipf says.
    fn word(&mut self) -> String {
        let rank = (WORDS as f64).powf(self.roll()) as u64;
        let syllables = ["ka", "lo", "mi", "ren", "tos", "vu", "sha", "per", "ni", "gol"];
        let mut rest = rank * 7 + 10;
        let mut word = String::new();
        while rest > 0 {
            word.push_str(syllables[(rest % 10) as usize]);
            rest /= 10;
        }
        word
    }
}

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut dice = Dice(7);
    let passages: Vec<Passage> = (0..count)
        .map(|_| Passage {
            headings: vec![dice.word()],
            text: (0..200).map(|_| dice.word()).collect::<Vec<_>>().join(" "),
        })
        .collect();
    let sources: Vec<Source<'_>> =
        passages.chunks(50).map(|passages| Source { name: "made.txt", passages }).collect();
    let start = Instant::now();
    let digests: Vec<Digest> = sources.iter().map(Digest::new).collect();
    let (read, start) = (start.elapsed(), Instant::now());
    let digests: Vec<&Digest> = digests.iter().collect();
    let index = Index::of(&digests);
    let kept: usize = digests.iter().map(|digest| digest.bytes()).sum();
    println!(
        "{count} passages read in {read:.1?}, {} MB; indexed in {:.1?}, {} MB",
        kept >> 20,
        start.elapsed(),
        index.bytes() >> 20
    );
    let questions: Vec<String> =
        (0..SEARCHES).map(|_| (0..8).map(|_| dice.word()).collect::<Vec<_>>().join(" ")).collect();
    let mut times: Vec<_> = questions
        .iter()
        .enumerate()
        .map(|(at, question)| {
            // Every fourth has a word that must be guessed at.
            let question =
                if at % 4 == 0 { format!("{question} kalorentx") } else { question.clone() };
            let start = Instant::now();
            std::hint::black_box(index.search(&Query::new(&[], &question), 8));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "search: median {:.2?}, 95th {:.2?}, worst {:.2?}",
        times[100], times[190], times[199]
    );
    let mut matrix = Matrix::new(DIMENSION);
    for _ in 0..count {
        let row: Vec<f32> = (0..DIMENSION).map(|_| dice.roll() as f32 - 0.5).collect();
        matrix.push(&row);
    }
    let query: Vec<f32> = (0..DIMENSION).map(|_| dice.roll() as f32 - 0.5).collect();
    let start = Instant::now();
    for _ in 0..20 {
        std::hint::black_box(matrix.nearest(&query, 8));
    }
    println!("vectors: {:.2?} each", start.elapsed() / 20);
}
