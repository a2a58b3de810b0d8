//! Documents: the queue that is their status, their passages, and that deleting leaves nothing.

use crate::accounts::user;
use crate::harness::{Harness, Kind, NOW, fresh};
use flowcore_domain::assistant::ProviderKey;
use flowcore_domain::assistant::embedder::{EmbedderConfig, EmbedderKind};
use flowcore_domain::document::DocumentStatus;
use flowcore_domain::id::{DocumentId, UserId};
use flowcore_domain::quota::{Quota, Quotas};
use flowcore_domain::webhook::Scope;
use flowcore_storage::{
    DocumentFilter, DocumentPassage, EmbeddingProgress, NewContent, NewDocument, PassageRef,
    StorageError,
};

fn upload(user_id: UserId, name: &str, bytes: &[u8]) -> NewDocument {
    let content = NewContent::Upload(bytes.to_vec(), vec![7; 32]);
    NewDocument { id: fresh(), user_id, name: name.to_owned(), content, now: NOW }
}

fn passage(text: &str) -> DocumentPassage {
    DocumentPassage { headings: vec!["Top".to_owned()], text: text.to_owned() }
}

pub(crate) async fn the_oldest_is_read_first_and_again_after_a_restart(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (first, second) = (upload(harness.user, "a", b"one"), upload(harness.user, "b", b"two"));
    let ids = [first.id, second.id];
    for new in [first, second] {
        harness.store.create_document(new).await.expect("taken");
    }
    let claimed = harness.store.claim_document().await.expect("read").expect("one");
    assert_eq!((claimed.id, claimed.status), (ids[0], DocumentStatus::Reading));
    let harness = harness.reopen().await;
    let store = &harness.store;
    assert_eq!(store.requeue_documents().await.expect("queued"), 1);
    for id in ids {
        let claimed = store.claim_document().await.expect("read").expect("one");
        assert_eq!(claimed.id, id);
        assert!(store.document_content(id).await.expect("read").is_some());
        let passages = vec![passage("first"), passage("second")];
        store.finish_document(id, Ok(passages), NOW).await.expect("stored");
        assert_eq!(store.document_content(id).await.expect("read"), None);
    }
    assert_eq!(store.claim_document().await.expect("read"), None);
    let known = store.known_documents(Scope::User(harness.user)).await.expect("read");
    assert_eq!(known.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    let at = PassageRef { document: ids[1], number: 1 };
    assert_eq!(store.passage(at).await.expect("read"), Some(passage("second")));
    assert_eq!(store.passages(ids[0]).await.expect("read").len(), 2);
    let page = |first| store.passages_from(ids[0], first, 1);
    assert_eq!(page(1).await.expect("read"), [passage("second")]);
    assert_eq!(page(2).await.expect("read"), []);
    assert_eq!(store.document(ids[0]).await.expect("read").expect("there").passages, 2);
}

pub(crate) async fn an_instance_answers_from_what_is_mapped_to_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (store, shop) = (&harness.store, harness.instance("shop").await);
    let (one, two) = (upload(harness.user, "a", b"one"), upload(harness.user, "b", b"two"));
    let ids = [one.id, two.id];
    for new in [one, two] {
        let id = new.id;
        store.create_document(new).await.expect("taken");
        store.finish_document(id, Ok(vec![passage("words")]), NOW).await.expect("stored");
    }
    store.map_document(shop, ids[1], NOW).await.expect("mapped");
    store.map_document(shop, ids[1], NOW).await.expect("mapped once");
    let nobody: DocumentId = fresh();
    let refused = store.map_document(shop, nobody, NOW).await.expect_err("no such document");
    assert!(matches!(refused, StorageError::NotFound(_)), "{refused:?}");
    let known = store.known_documents(Scope::Instance(shop)).await.expect("read");
    assert_eq!(known.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(store.instances_of_document(ids[1]).await.expect("read"), ["shop"]);
    let filter = DocumentFilter { instance: Some(shop), ..DocumentFilter::default() };
    assert_eq!(store.documents(filter, 10).await.expect("read").len(), 1);
    let filter = DocumentFilter { user: Some(harness.user), before: Some(ids[1]), instance: None };
    let older = store.documents(filter, 10).await.expect("read");
    assert_eq!(older.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0]]);
    assert!(store.unmap_document(shop, ids[1]).await.expect("unmapped"));
    assert!(!store.unmap_document(shop, ids[1]).await.expect("gone"));
}

pub(crate) async fn deleting_leaves_nothing_and_quotas_count_what_is_there(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let limits = [(Quota::Documents, Some(2)), (Quota::DocumentBytes, Some(10))].into();
    let owner = user(&harness, "anna", Quotas::default().patched(&limits)).await;
    let before = harness.counts().await;
    let first = upload(owner.id, "a", b"12345");
    let id = first.id;
    store.create_document(first).await.expect("taken");
    let over = store.create_document(upload(owner.id, "b", b"123456")).await.expect_err("too long");
    assert!(matches!(over, StorageError::OverQuota(over) if over.quota == Quota::DocumentBytes));
    let page = NewContent::Page("http://example.com/".to_owned());
    let page = NewDocument { content: page, ..upload(owner.id, "c", b"") };
    let page_id = page.id;
    store.create_document(page).await.expect("taken");
    let over = store.create_document(upload(owner.id, "d", b"")).await.expect_err("too many");
    assert!(matches!(over, StorageError::OverQuota(over) if over.quota == Quota::Documents));
    let page = store.document(page_id).await.expect("read").expect("there");
    store.weigh_document(&page, 5).await.expect("room");
    let over = store.weigh_document(&page, 6).await.expect_err("too long");
    assert!(matches!(over, StorageError::OverQuota(_)), "{over:?}");
    store.finish_document(id, Ok(vec![passage("words")]), NOW).await.expect("stored");
    let why = Err("damaged: the file is damaged".to_owned());
    store.finish_document(page_id, why, NOW).await.expect("stored");
    let failed = store.document(page_id).await.expect("read").expect("there");
    assert_eq!(failed.status, DocumentStatus::Failed);
    assert_eq!(failed.reason.as_deref(), Some("damaged: the file is damaged"));
    for id in [id, page_id] {
        assert!(store.delete_document(id).await.expect("deleted"));
        assert!(!store.delete_document(id).await.expect("gone"));
    }
    let late = store.finish_document(id, Ok(vec![passage("late")]), NOW).await;
    assert!(matches!(late, Err(StorageError::NotFound(_))), "{late:?}");
    assert_eq!(harness.counts().await, before);
}

fn embedder(model: &str) -> EmbedderConfig {
    let model = Some(model.to_owned());
    EmbedderConfig { provider: EmbedderKind::OpenAi, base_url: None, model }
}

/// An embedder with a key, for the rotation of keys.
pub(crate) async fn keyed(harness: &Harness) {
    let key = Some(Some(ProviderKey::new("of the embedder")));
    let set = harness.store.set_embedder(harness.user, embedder("m"), key, NOW).await;
    set.expect("stored");
}

pub(crate) async fn passages_want_vectors_of_the_embedder_of_now(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (store, user) = (&harness.store, harness.user);
    let new = upload(user, "a", b"one");
    let id = new.id;
    store.create_document(new).await.expect("taken");
    store.finish_document(id, Ok(vec![passage("x"), passage("y")]), NOW).await.expect("stored");
    assert_eq!(store.owners_wanting_vectors("", 9).await.expect("read"), [], "nobody has one");
    assert_eq!(store.owners_wanting_vectors("server's", 9).await.expect("read"), [user]);

    store.set_embedder(user, embedder("m1"), None, NOW).await.expect("stored");
    let first = embedder("m1").fingerprint();
    assert_eq!(store.owners_wanting_vectors("", 9).await.expect("read"), [user]);
    assert_eq!(store.document_wanting_vectors(user, &first).await.expect("read"), Some(id));
    let wanting = store.passages_wanting_vectors(id, &first, 1).await.expect("read");
    assert_eq!(wanting, [(0, passage("x"))]);
    store.embed_passages(id, &first, vec![(0, vec![1; 8])]).await.expect("stored");
    let progress = store.embedding_progress(user, None, &first).await.expect("read");
    assert_eq!(progress, EmbeddingProgress { passages: 2, embedded: 1 });
    let known = async || store.known_documents(Scope::User(user)).await.expect("read");
    assert_eq!(known().await[0].embedded_by, None);
    store.embed_passages(id, &first, vec![(1, vec![2; 8])]).await.expect("stored");
    assert_eq!(known().await[0].embedded_by, Some(first.clone()));
    assert_eq!(store.embeddings(id).await.expect("read"), [vec![1; 8], vec![2; 8]]);
    assert_eq!(store.owners_wanting_vectors("", 9).await.expect("read"), []);

    store.set_embedder(user, embedder("m2"), None, NOW).await.expect("stored");
    let second = embedder("m2").fingerprint();
    assert_eq!(store.owners_wanting_vectors("", 9).await.expect("read"), [user]);
    let wanting = store.passages_wanting_vectors(id, &second, 9).await.expect("read");
    assert_eq!(wanting.len(), 2);
    let progress = store.embedding_progress(user, Some(id), &second).await.expect("read");
    assert_eq!(progress, EmbeddingProgress { passages: 2, embedded: 0 });
    store.delete_document(id).await.expect("deleted");
    assert_eq!(store.embeddings(id).await.expect("read"), [] as [Vec<u8>; 0]);
    assert_eq!(store.embedding_progress(user, None, &first).await.expect("read").passages, 0);
}

pub(crate) async fn an_embedders_key_stays_where_it_belongs(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (store, user) = (&harness.store, harness.user);
    keyed(&harness).await;
    let key = async || store.embedder(user).await.expect("read").and_then(|stored| stored.key);
    assert_eq!(key().await, Some(ProviderKey::new("of the embedder")));
    store.set_embedder(user, embedder("n"), None, NOW).await.expect("stored");
    assert_eq!(key().await, Some(ProviderKey::new("of the embedder")), "the same place");
    let elsewhere =
        EmbedderConfig { base_url: Some("https://else/v1".to_owned()), ..embedder("n") };
    store.set_embedder(user, elsewhere, None, NOW).await.expect("stored");
    assert_eq!(key().await, None, "another place never gets it");
    let default = EmbedderConfig::default();
    store.set_embedder(user, default, None, NOW).await.expect("stored");
    assert_eq!(store.embedder(user).await.expect("read"), None);
}
