//! The evaluation of `bench/kb`, held to thresholds: retrieval without a model must stay this good. So must it in
//! `bench/kb-second`, on which nothing was chosen.
//!
//! The rules are those of `bench/kb/score.py`. Questions are asked as they stand and with misspelt words, the
//! documents cut as they are and shorter, so that what holds does not hold by one chance.

#[path = "evaluation/gold.rs"]
mod gold;

use flowcore_knowledge::passages::LONGEST;
use gold::{Gold, Item, Library, misspelt, recall};

const SET: &str = "kb";
const CROSS_LANGUAGE: &str = "cross-lang";

fn library(longest: usize) -> Library {
    Library::open(&Gold::folder(SET), longest)
}

fn asked(gold: &Gold) -> Vec<&Item> {
    gold.questions
        .iter()
        .filter(|q| q.answerable && !q.tags.iter().any(|t| t == CROSS_LANGUAGE))
        .collect()
}

#[test]
fn answers_are_among_five_passages_in_every_language() {
    let (gold, library) = (Gold::open(SET), library(LONGEST));
    let all = asked(&gold);
    let found = recall(&library, all.iter().copied(), 5);
    assert!(found >= 0.95, "recall@5 over all is {found}");
    for language in ["en", "pt", "es", "de"] {
        let found = recall(&library, all.iter().copied().filter(|q| q.lang == language), 5);
        assert!(found >= 0.92, "recall@5 in {language} is {found}");
    }
}

#[test]
fn follow_ups_are_found_with_their_history() {
    let (gold, library) = (Gold::open(SET), library(LONGEST));
    let found = recall(&library, &gold.conversations, 5);
    assert!(found >= 0.95, "recall@5 is {found}");
}

#[test]
fn misspelt_words_are_found() {
    let (gold, library) = (Gold::open(SET), library(LONGEST));
    let all = asked(&gold);
    let found =
        recall(&library, all.iter().copied().filter(|q| q.tags.iter().any(|t| t == "typo")), 5);
    assert!(found >= 0.8, "recall@5 of those that are misspelt is {found}");
    for seed in 0..3 {
        let all: Vec<Item> = all.iter().map(|item| misspelt(item, seed)).collect();
        let found = recall(&library, &all, 5);
        assert!(found >= 0.88, "recall@5 with mistakes made by seed {seed} is {found}");
    }
}

#[test]
fn it_does_not_hang_on_the_length_of_passages() {
    let gold = Gold::open(SET);
    for (longest, least) in [(1_600, 0.92), (1_200, 0.9), (800, 0.85)] {
        let found = recall(&library(longest), asked(&gold), 5);
        assert!(found >= least, "recall@5 with passages of {longest} is {found}");
    }
}

#[test]
fn it_holds_in_another_trade_on_which_nothing_was_chosen() {
    let set = "kb-second";
    let gold = Gold::open(set);
    for (longest, least, least_of_one) in [(LONGEST, 0.92, 0.88), (400, 0.85, 0.78)] {
        let library = Library::open(&Gold::folder(set), longest);
        let found = [1, 3, 5].map(|limit| recall(&library, asked(&gold), limit));
        let follow_ups = [1, 3, 5].map(|limit| recall(&library, &gold.conversations, limit));
        println!("{longest}: recall@1, 3, 5 {found:.3?}, of follow-ups {follow_ups:.3?}");
        assert!(found[2] >= least, "recall@5 with passages of {longest} is {}", found[2]);
        assert!(follow_ups[2] >= least, "of follow-ups it is {}", follow_ups[2]);
        for language in ["en", "pt", "es", "de"] {
            let of_it = asked(&gold).into_iter().filter(|q| q.lang == language);
            let found = recall(&library, of_it, 5);
            assert!(found >= least_of_one, "recall@5 in {language} is {found}");
        }
    }
}
