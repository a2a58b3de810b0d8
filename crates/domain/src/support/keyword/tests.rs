//! The rules, by words that no set of ours has; and the set of `bench/kb`, which may not know them.

use super::*;
use serde_json::Value;

fn finds(keyword: &str, message: &str) -> bool {
    Keywords::new([keyword]).find(message).is_some()
}

#[test]
fn a_word_is_found_inflected_misspelt_and_never_inside_another() {
    for message in
        ["WAITER!", "two waiters pls", "a waitter", "w a i t e r", "waiteeeer", "wiater?"]
    {
        assert!(finds("waiter", message), "{message}");
    }
    for message in ["waitership", "the dumbwaiters", "await her", "wait", "mail a@waiter.com"] {
        assert!(!finds("waiter", message), "{message}");
    }
    assert!(finds("garçom", "cadê os garcons"));
    assert!(finds("Köchin", "koechin bitte") && finds("Köchin", "die kochinnen"));
    assert!(!finds("chef", "chief"), "short words have too many neighbours");
    assert!(!finds("human", "humane") && !finds("humano", "rumano"), "ends are no slips");
}

#[test]
fn phrases_bend_a_little() {
    for message in ["ringing the owner", "ring the shop owner", "could you RING  owner"] {
        assert!(finds("ring the owner", message), "{message}");
    }
    for message in ["the owner has a ring", "ring. The owner", "ring me when you see the owner"] {
        assert!(!finds("ring the owner", message), "{message}");
    }
}

#[test]
fn stars_take_any_ending_and_quotes_take_none() {
    assert!(finds("kell*", "KELLNERIN") && !finds("kell*", "ukelle"));
    assert!(finds("\"call me\"", "please Call me") && !finds("\"call me\"", "calls me"));
    assert!(finds("転送", "担当者に転送して") && finds("🙋", "hey 🙋"));
    assert!(!is_usable(" ") && !is_usable("*") && !is_usable("\"\""));
}

#[test]
fn what_is_refused_is_not_found() {
    for message in [
        "I don't need a waiter",
        "no waiter please",
        "não preciso de waiter",
        "ich brauche keinen waiter",
        "waiter brauche ich nicht",
        "sin waiter, gracias",
        "I don't think I need a waiter",
        "we declined the waiter",
        "dispensamos o waiter",
        "prescindo del waiter",
        "ich verzichte auf den waiter",
    ] {
        assert!(!finds("waiter", message), "{message}");
    }
    for message in [
        "not this again, waiter!",
        "no I need a waiter",
        "I don't want menus I want a waiter",
        "não quero menu quero waiter",
        "no entiendo nada solo un waiter",
        "I can't find a waiter",
        "is there no waiter?",
        "ich will einen waiter der Bot versteht mich nicht",
        "me põe no waiter com a minha conta",
    ] {
        assert!(finds("waiter", message), "{message}");
    }
}

#[test]
fn a_language_that_nothing_here_knows_works_too() {
    let keywords = Keywords::new(["työntekijä", "puhua ihmisen kanssa", "asiakaspalvel*"]);
    for message in [
        "TYONTEKIJA",
        "työntkeijä kiitos",
        "haluan puhua ihmisen kanssa",
        "puhua oikean ihmisen kanssa",
        "asiakaspalveluun!",
    ] {
        assert!(keywords.find(message).is_some(), "{message}");
    }
    for message in ["työntekijäkokous", "ihmisen kanssa", "palvelu", "moi"] {
        assert_eq!(keywords.find(message), None, "{message}");
    }
}

#[test]
fn the_development_set_is_decided_with_its_keywords() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/kb/");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).expect("the set");
    let all: std::collections::BTreeMap<String, Vec<String>> =
        serde_json::from_str(&read("keywords.json")).expect("keywords");
    let keywords = Keywords::new(all.values().flatten().map(String::as_str));
    let (mut hit, mut missed, mut wrong) = (0_u32, vec![], vec![]);
    for line in read("escalation.jsonl").lines() {
        let message: Value = serde_json::from_str(line).expect("a message");
        let wanted = message["escalate"] == true;
        // Harmless senses and wishes without a keyword are no matter of keywords.
        if message["tag"] == "harmless" || (!wanted && message["escalate_semantic"] == true) {
            continue;
        }
        let text = message["text"].as_str().expect("a text").to_owned();
        match (wanted, keywords.find(&text).is_some()) {
            (true, true) => hit += 1,
            (true, false) => missed.push(text),
            (false, true) => wrong.push(text),
            (false, false) => {}
        }
    }
    let share = |others: &[String]| {
        f64::from(hit) / (f64::from(hit) + f64::from(u32::try_from(others.len()).expect("few")))
    };
    assert!(share(&wrong) >= 0.97, "precision {}: {wrong:?}", share(&wrong));
    assert!(share(&missed) >= 0.97, "recall {}: {missed:?}", share(&missed));
}
