//! Assistants as they are stored.

use crate::harness::{Harness, Kind, NOW, fresh};
use flowcore_domain::assistant::provider::Tokens;
use flowcore_domain::assistant::{AssistantPatch, ProviderKey};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_storage::{AiCase, StorageError, StoredAssistant};
use futures_util::future::join_all;
use serde_json::{Value, json};

pub(crate) fn key() -> ProviderKey {
    ProviderKey::new("sk-of-the-owner")
}

fn patch(value: Value) -> AssistantPatch {
    serde_json::from_value(value).expect("a patch")
}

async fn change(harness: &Harness, id: InstanceId, value: Value) -> StoredAssistant {
    let changed = harness.store.update_assistant(id, patch(value), harness.user, NOW).await;
    changed.expect("stored").expect("it fits");
    harness.store.assistant(id).await.expect("read").expect("there")
}

/// An assistant with a key.
pub(crate) async fn keyed(harness: &Harness, id: InstanceId) -> StoredAssistant {
    let value = json!({ "provider": "openai", "model": "m", "apiKey": key().reveal() });
    change(harness, id, value).await
}

pub(crate) async fn a_patch_changes_what_it_names_and_the_key_is_sealed(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    assert_eq!(harness.store.assistant(id).await.expect("read"), None);
    keyed(&harness, id).await;
    let pace = json!({
        "temperature": 0.35, "isActive": true, "knowledgeOnly": true, "monthlyCostLimit": 12.5,
        "pacing": { "debounceMs": 1 }, "optOutWords": ["stop"], "ignoredContacts": ["+55 11 9"],
        "prices": { "input": 1.0, "output": 2.0 },
    });
    let stored = change(&harness, id, pace).await;
    assert_eq!(stored.key, Some(key()));
    assert!((stored.config.temperature - 0.35).abs() < 1e-9);
    assert!(stored.config.is_active && stored.config.knowledge_only && stored.config.pacing.typing);
    assert_eq!((stored.config.pacing.debounce_ms, stored.config.max_tokens), (1, 800));
    assert_eq!(stored.config.monthly_cost_limit, Some(12.5));
    assert_eq!(stored.config.ignored_contacts, ["55119"]);
    let harness = harness.reopen().await;
    assert_eq!(harness.store.assistant(id).await.expect("read"), Some(stored.clone()));
    let wrong = patch(json!({ "temperature": 9 }));
    let refused = harness.store.update_assistant(id, wrong, harness.user, NOW).await;
    assert_eq!(refused.expect("an answer").expect_err("a fault").field, "temperature");
    assert_eq!(harness.store.assistant(id).await.expect("read"), Some(stored));
    let nobody = harness.store.update_assistant(fresh(), patch(json!({})), harness.user, NOW).await;
    assert!(matches!(nobody, Err(StorageError::NotFound(_))), "{nobody:?}");
    harness.store.close().await;
}

pub(crate) async fn a_key_goes_with_the_address_it_was_given_for(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    keyed(&harness, id).await;
    let moved = change(&harness, id, json!({ "baseUrl": "https://elsewhere.example/v1" })).await;
    assert_eq!(moved.key, None);
    keyed(&harness, id).await;
    assert_eq!(change(&harness, id, json!({ "provider": "groq" })).await.key, None);
    let with_key = json!({ "provider": "mistral", "apiKey": "another" });
    assert_eq!(change(&harness, id, with_key).await.key, Some(ProviderKey::new("another")));
    assert_eq!(change(&harness, id, json!({ "apiKey": null })).await.key, None);
    harness.store.close().await;
}

pub(crate) async fn patches_at_the_same_moment_are_all_kept(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let patches = [
        json!({ "knowledgeOnly": true }),
        json!({ "groups": true }),
        json!({ "maxTokens": 77 }),
        json!({ "fallbackMessage": "later" }),
        json!({ "systemPrompt": "Be kind." }),
    ];
    let changes = patches
        .into_iter()
        .map(|value| harness.store.update_assistant(id, patch(value), harness.user, NOW));
    for changed in join_all(changes).await {
        changed.expect("stored").expect("it fits");
    }
    let config = harness.store.assistant(id).await.expect("read").expect("there").config;
    assert!(config.knowledge_only && config.groups);
    assert_eq!((config.max_tokens, config.fallback_message.as_str()), (77, "later"));
    assert_eq!(config.system_prompt, "Be kind.");
    harness.store.close().await;
}

pub(crate) async fn every_wording_of_a_prompt_is_kept_up_to_a_hundred(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for number in 1..=103 {
        change(&harness, id, json!({ "systemPrompt": format!("wording {number}") })).await;
        change(&harness, id, json!({ "groups": number % 2 == 0 })).await;
    }
    let versions = harness.store.prompt_versions(id).await.expect("read");
    assert_eq!(versions.len(), 100);
    assert_eq!((versions[0].number, versions[99].number), (103, 4));
    assert_eq!(versions[0].system_prompt, "wording 103");
    assert_eq!(versions[0].created_by, harness.user);
    harness.store.close().await;
}

pub(crate) async fn cases_are_kept_with_what_came_out(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    let case = |text: &str| AiCase {
        id: fresh(),
        content: json!({ "message": text }),
        outcome: None,
        created_at: NOW,
    };
    let (first, second) = (case("one"), case("two"));
    for case in [&first, &second] {
        assert!(harness.store.add_ai_case(id, case.clone(), 2).await.expect("stored"));
    }
    assert!(!harness.store.add_ai_case(id, case("three"), 2).await.expect("an answer"));
    let outcome = json!({ "passed": true });
    harness.store.note_ai_outcome(second.id, outcome.clone()).await.expect("noted");
    let cases = harness.store.ai_cases(id).await.expect("read");
    assert_eq!((cases.len(), &cases[0]), (2, &first));
    assert_eq!(cases[1].outcome, Some(outcome));
    assert!(!harness.store.delete_ai_case(other, first.id).await.expect("an answer"));
    assert!(harness.store.delete_ai_case(id, first.id).await.expect("deleted"));
    harness.store.close().await;
}

pub(crate) async fn what_a_month_costs_is_counted_and_begins_anew(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let tokens = Tokens { input: 100, output: 10 };
    let notes = (0..20).map(|_| harness.store.note_ai_cost(id, (450, tokens), NOW));
    for noted in join_all(notes).await {
        noted.expect("noted");
    }
    let spent = harness.store.ai_spending(id, NOW).await.expect("read");
    assert_eq!((spent.micros, spent.input, spent.output), (9_000, 2_000, 200));
    let later = Millis(NOW.0 + 40 * 24 * 3_600_000);
    assert_eq!(harness.store.ai_spending(id, later).await.expect("read").micros, 0);
    harness.store.close().await;
}
