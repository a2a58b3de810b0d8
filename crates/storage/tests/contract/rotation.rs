//! Changing the master key while everything runs.

use crate::accounts::session;
use crate::harness::{Harness, Kind, NOW, options, proxy};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_domain::proxy::Proxy;
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_domain::webhook::Secret;
use flowcore_storage::{InstanceOptions, InstanceToken};
use flowcore_storage::{LoginSession, MasterKey, OpenError, Store, StoreOptions};
use flowcore_storage::{key_is_rotated, rotate_key_file};
use std::time::{Duration, Instant};

const SESSION: Namespace = Namespace("session");

async fn options_of_an_instance(harness: &Harness) -> (InstanceId, Proxy) {
    let proxy = proxy();
    let token = InstanceToken { text: "a token of one instance".to_owned(), hash: [7; 32] };
    let options = InstanceOptions {
        token: Some(token),
        proxy: Some(proxy.clone()),
        ..InstanceOptions::default()
    };
    let new = harness.new_instance("tokened");
    let made = harness.store.create_instance_with(new, options, vec![]).await.expect("made");
    (made.id, proxy)
}

pub(crate) async fn a_running_store_seals_everything_with_a_new_key(kind: Kind) {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let from_file = StoreOptions { master_key: None, ..options(&data, &kind.fresh()) };
    let store = Store::open(from_file.clone()).await.expect("opens");
    let harness = Harness::around(directory, from_file.database.clone(), store).await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, &[]).await;
    webhook.previous_secrets = vec![(webhook.secret, Millis(NOW.0 + 5))];
    webhook.secret = Secret::from_bytes([1; 32]);
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("a secret before the last");
    let session = LoginSession { csrf: "csrf".to_owned(), ..session(harness.user) };
    let secret = b"of the second factor".to_vec();
    harness.store.set_totp(harness.user, Some(secret.clone())).await.expect("stored");
    harness.store.create_login_session([1; 32], None, session).await.expect("stored");
    let entries = harness.store.session_store(id);
    let put = |key: u32| Change::put(SESSION, key.to_string(), "ratchet");
    entries.apply((0..300).map(put).collect()).await.expect("applied");

    let (tokened, proxy) = options_of_an_instance(&harness).await;
    crate::assistant::keyed(&harness, id).await;
    crate::documents::keyed(&harness).await;

    let old_key = std::fs::read_to_string(data.join("master.key")).expect("the key");
    rotate_key_file(&data).expect("a new key");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut written = 300;
    while !key_is_rotated(&data).expect("the key file") {
        assert!(Instant::now() < deadline, "the key is not changed");
        entries.apply(vec![put(written)]).await.expect("applied meanwhile");
        written += 1;
    }
    assert_eq!(entries.scan(SESSION, "").await.expect("read").len(), written as usize);
    assert_eq!(harness.store.webhook(webhook.id).await.expect("read"), Some(webhook.clone()));
    harness.store.close().await;

    let stale = MasterKey::parse(&old_key).expect("a key");
    let stale = StoreOptions { master_key: Some(stale), ..from_file.clone() };
    assert!(matches!(Store::open(stale).await, Err(OpenError::WrongKey)));
    let store = Store::open(from_file).await.expect("opens with the new key alone");
    let entries = store.session_store(id).scan(SESSION, "").await.expect("read");
    assert_eq!(entries.len(), written as usize);
    assert_eq!(store.webhook(webhook.id).await.expect("read"), Some(webhook));
    let before = Millis(NOW.0 - 1);
    let login = store.login_session([1; 32], before).await.expect("read").expect("there");
    assert_eq!(login.0.csrf, "csrf");
    let secrets = store.secrets(harness.user).await.expect("read").expect("there");
    assert_eq!(secrets.totp, Some(secret));
    let token = store.instance_token(tokened).await.expect("read");
    assert_eq!(token.as_deref(), Some("a token of one instance"));
    assert_eq!(store.proxy(tokened).await.expect("read"), Some(proxy));
    let assistant = store.assistant(id).await.expect("read").expect("there");
    assert_eq!(assistant.key, Some(crate::assistant::key()));
    let embedder = store.embedder(harness.user).await.expect("read").expect("there");
    assert_eq!(embedder.key.map(|key| key.reveal().to_owned()).as_deref(), Some("of the embedder"));
    store.close().await;
}
