//! The administrator, keys, sign-ins.

use crate::harness::{Harness, Kind, NOW, fresh};
use flowcore_domain::clock::Millis;
use flowcore_storage::{Admin, LoginSession, StorageError};

pub(crate) async fn there_is_one_admin_and_a_new_key_replaces_the_old(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (store, user_id) = (&harness.store, harness.user);
    let ensure = async |key| store.ensure_admin(fresh(), key, NOW).await.expect("an admin");
    assert_eq!(ensure(None).await, Admin { user_id, has_key: false });
    assert_eq!(ensure(Some([1; 32])).await, Admin { user_id, has_key: true });
    assert_eq!(ensure(Some([1; 32])).await, Admin { user_id, has_key: true });
    let found = store.api_key([1; 32], NOW).await.expect("read").expect("found");
    assert_eq!((found.user_id, found.role.as_str()), (user_id, "admin"));
    ensure(Some([2; 32])).await;
    assert_eq!(store.api_key([1; 32], NOW).await.expect("read"), None);
    assert!(store.api_key([2; 32], NOW).await.expect("read").is_some());
    assert_eq!(harness.counts().await["api_keys"], 1);
}

pub(crate) async fn a_sign_in_ends_by_itself_or_by_sign_out(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let expires_at = Millis(NOW.0 + 100);
    let session = LoginSession { user_id: harness.user, csrf: "word".to_owned(), expires_at };
    for token in [[1; 32], [2; 32]] {
        store.create_login_session(token, session.clone(), NOW).await.expect("stored");
    }
    assert_eq!(store.login_session([1; 32], NOW).await.expect("read"), Some(session.clone()));
    assert_eq!(store.login_session([1; 32], expires_at).await.expect("read"), None);
    assert!(store.delete_login_session([1; 32]).await.expect("deleted"));
    assert_eq!(store.login_session([1; 32], NOW).await.expect("read"), None);
    assert_eq!(store.sweep_login_sessions(expires_at).await.expect("swept"), 1);
    let nobody = LoginSession { user_id: fresh(), ..session };
    let refused = store.create_login_session([3; 32], nobody, NOW).await;
    assert!(matches!(refused, Err(StorageError::NotFound(_))));
}
