//! Users, keys, sign-ins, what was done.

use crate::harness::{Harness, Kind, NOW, fresh};
use flowcore_domain::account::{Role, Scope, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_domain::quota::Quotas;
use flowcore_storage::{
    Admin, ApiKey, AuditEntry, AuditFilter, Deed, LAST_ADMIN, LoginSession, NewKey, NewUser,
    Refresh, StorageError, User, UserChange,
};

/// A user who may sign in.
pub(crate) async fn user(harness: &Harness, name: &str, quotas: Quotas) -> User {
    harness.store.create_user(new_user(name, quotas)).await.expect("made")
}

fn new_user(name: &str, quotas: Quotas) -> NewUser {
    NewUser {
        id: fresh(),
        username: name.parse().expect("a name"),
        email: None,
        password_hash: "a hash".to_owned(),
        role: Role::Member,
        quotas,
        now: NOW,
    }
}

/// A sign-in that lasts a moment.
pub(crate) fn session(user_id: UserId) -> LoginSession {
    LoginSession {
        id: fresh(),
        user_id,
        csrf: "word".to_owned(),
        program: false,
        address: Some("127.0.0.1".to_owned()),
        agent: None,
        created_at: NOW,
        last_used_at: NOW,
        expires_at: Millis(NOW.0 + 100),
    }
}

pub(crate) async fn there_is_one_admin_and_a_new_key_replaces_the_old(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (store, user_id) = (&harness.store, harness.user);
    let ensure = async |key| store.ensure_admin(fresh(), key, NOW).await.expect("an admin");
    let admin = |has_key| Admin { user_id, has_key, has_password: false };
    assert_eq!(ensure(None).await, admin(false));
    assert_eq!(ensure(Some([1; 32])).await, admin(true));
    assert_eq!(ensure(Some([1; 32])).await, admin(true));
    let (key, role) = store.api_key([1; 32], NOW).await.expect("read").expect("found");
    assert_eq!((key.user_id, role, key.scopes), (user_id, Role::Admin, Scopes::ALL));
    ensure(Some([2; 32])).await;
    assert_eq!(store.api_key([1; 32], NOW).await.expect("read"), None);
    assert!(store.api_key([2; 32], NOW).await.expect("read").is_some());
    assert_eq!(harness.counts().await["api_keys"], 1);
}

pub(crate) async fn a_sign_in_ends_by_itself_or_by_sign_out(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let sessions = [session(harness.user), session(harness.user)];
    let expires_at = sessions[0].expires_at;
    for (token, session) in [[1; 32], [2; 32]].into_iter().zip(sessions.clone()) {
        store.create_login_session(token, None, session).await.expect("stored");
    }
    let found = store.login_session([1; 32], NOW).await.expect("read").expect("there");
    assert_eq!(found, (sessions[0].clone(), Role::Admin));
    assert_eq!(store.login_sessions(harness.user, NOW).await.expect("read").len(), 2);
    assert_eq!(store.login_session([1; 32], expires_at).await.expect("read"), None);
    assert!(store.delete_login_session([1; 32]).await.expect("deleted"));
    assert_eq!(store.login_session([1; 32], NOW).await.expect("read"), None);
    assert!(!store.delete_login(fresh(), sessions[1].id).await.expect("asked"), "not theirs");
    assert_eq!(store.sweep_login_sessions(expires_at).await.expect("swept"), 1);
    let refused = store.create_login_session([3; 32], None, session(fresh())).await;
    assert!(matches!(refused, Err(StorageError::NotFound(_))));
}

pub(crate) async fn a_refresh_token_that_comes_twice_ends_the_sign_in(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let program = LoginSession { csrf: String::new(), ..session(harness.user) };
    store.create_login_session([1; 32], Some([10; 32]), program.clone()).await.expect("stored");
    assert_eq!(store.login_session([1; 32], NOW).await.expect("read"), None, "no cookie");
    let turn = async |shown, next| {
        let times = (NOW, Millis(NOW.0 + 100));
        store.rotate_refresh([1; 32], (shown, next), times).await.expect("asked")
    };
    let rotated = turn([10; 32], [11; 32]).await;
    assert!(matches!(rotated, Refresh::Rotated(_, Role::Admin)), "{rotated:?}");
    assert!(store.login_by_id(program.id, NOW).await.expect("read").is_some());
    assert!(matches!(turn([11; 32], [12; 32]).await, Refresh::Rotated(..)));
    assert_eq!(turn([10; 32], [13; 32]).await, Refresh::Reused(harness.user));
    assert_eq!(turn([12; 32], [13; 32]).await, Refresh::Unknown, "the newest is gone too");
    assert_eq!(store.login_by_id(program.id, NOW).await.expect("read"), None);
}

pub(crate) async fn a_user_is_made_once_changed_and_shut_out(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let anna = user(&harness, "Anna", Quotas::default()).await;
    let again = store.create_user(new_user("anna", Quotas::default())).await;
    assert!(matches!(again, Err(StorageError::Conflict(_))), "{again:?}");
    let name = "ANNA".parse().expect("a name");
    let secrets = store.secrets_by_name(&name).await.expect("read").expect("there");
    assert_eq!(
        (secrets.user.clone(), secrets.password_hash.as_deref()),
        (anna.clone(), Some("a hash"))
    );
    store.create_login_session([1; 32], None, session(anna.id)).await.expect("stored");
    let key = ApiKey {
        id: fresh(),
        user_id: anna.id,
        name: "app".to_owned(),
        prefix: Some("fc_abcd".to_owned()),
        scopes: Scopes::of(&[Scope::Read]),
        instances: Some(vec![fresh()]),
        addresses: vec!["10.0.0.0/8".to_owned()],
        created_at: NOW,
        expires_at: Some(Millis(NOW.0 + 10)),
        last_used_at: None,
    };
    store.create_key(NewKey { key: key.clone(), hash: [5; 32] }).await.expect("stored");
    assert_eq!(store.api_key([5; 32], NOW).await.expect("read"), Some((key.clone(), Role::Member)));
    assert_eq!(store.api_key([5; 32], Millis(NOW.0 + 10)).await.expect("read"), None, "expired");
    store.touch_key(&key, NOW).await.expect("noted");
    let keys = store.keys(Some(anna.id), None, 10).await.expect("read");
    assert_eq!(keys, [ApiKey { last_used_at: Some(NOW), ..key }]);

    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    let (before, after) = store.update_user(anna.id, change).await.expect("changed");
    assert!(!before.disabled && after.disabled);
    assert_eq!(store.api_key([5; 32], NOW).await.expect("read"), None);
    assert_eq!(store.login_session([1; 32], NOW).await.expect("read"), None);
    assert!(store.delete_user(anna.id).await.expect("deleted"));
    assert_eq!(harness.counts().await["api_keys"], 0);
}

pub(crate) async fn an_administrator_is_always_left(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    for change in [
        UserChange { disabled: Some(true), ..UserChange::default() },
        UserChange { role: Some(Role::Viewer), ..UserChange::default() },
    ] {
        let refused = store.update_user(harness.user, change).await;
        assert!(matches!(refused, Err(StorageError::Conflict(LAST_ADMIN))), "{refused:?}");
    }
    let refused = store.delete_user(harness.user).await;
    assert!(matches!(refused, Err(StorageError::Conflict(LAST_ADMIN))), "{refused:?}");
    let other = user(&harness, "other", Quotas::default()).await;
    let change = UserChange { role: Some(Role::Admin), ..UserChange::default() };
    store.update_user(other.id, change).await.expect("changed");
    assert!(store.delete_user(harness.user).await.expect("deleted"));
}

pub(crate) async fn a_foreign_user_is_made_at_first_sight(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let seen = async |subject: &str| {
        let who = (subject.to_owned(), Some("a@example.com".to_owned()));
        store.foreign_user(who, fresh(), &Quotas::default(), NOW).await.expect("a user")
    };
    let (one, two) = tokio::join!(seen("a"), seen("a"));
    assert_eq!((one.id, one.role, one.foreign), (two.id, Role::Member, true));
    assert_eq!(seen("a").await.id, one.id);
    assert_ne!(seen("b").await.id, one.id);
}

pub(crate) async fn a_second_factor_is_sealed_and_each_code_taken_once(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let secret = b"a secret of twenty bytes".to_vec();
    store.set_totp(harness.user, Some(secret.clone())).await.expect("stored");
    let found = store.secrets(harness.user).await.expect("read").expect("there");
    assert_eq!(found.totp, Some(secret.clone()));
    assert!(found.user.has_totp);
    assert!(!harness.dump().await.windows(secret.len()).any(|window| window == secret));
    assert!(store.take_totp_step(harness.user, 7).await.expect("taken"));
    assert!(!store.take_totp_step(harness.user, 7).await.expect("asked"));
    assert!(!store.take_totp_step(harness.user, 6).await.expect("asked"));
    store.set_totp(harness.user, None).await.expect("gone");
    assert_eq!(store.secrets(harness.user).await.expect("read").expect("there").totp, None);
}

pub(crate) async fn what_was_done_is_found_again_also_when_who_did_it_is_gone(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let anna = user(&harness, "anna", Quotas::default()).await;
    let entry = |user_id, action: &str, at| AuditEntry {
        id: fresh(),
        at,
        user_id,
        username: None,
        credential: "browser".to_owned(),
        address: Some("127.0.0.1".to_owned()),
        action: action.to_owned(),
        target: Some("shop".to_owned()),
        data: serde_json::json!({ "status": 200 }),
    };
    store.note_audit(entry(Some(anna.id), "instance.delete", NOW)).await.expect("noted");
    store.note_audit(entry(None, "login.failed", Millis(NOW.0 + 1))).await.expect("noted");
    let all = store.audit(&AuditFilter::default(), 10).await.expect("read");
    assert_eq!(
        all.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(),
        ["login.failed", "instance.delete"]
    );
    let filter = AuditFilter { user: Some(anna.id), ..AuditFilter::default() };
    assert_eq!(store.audit(&filter, 10).await.expect("read"), all[1..]);
    let filter = AuditFilter { before: Some(all[0].id), ..AuditFilter::default() };
    assert_eq!(store.audit(&filter, 10).await.expect("read"), all[1..]);
    store.delete_user(anna.id).await.expect("deleted");
    let filter =
        AuditFilter { action: Some("instance.delete".to_owned()), ..AuditFilter::default() };
    let found = store.audit(&filter, 10).await.expect("read");
    assert_eq!((found[0].user_id, found[0].username.as_deref()), (None, Some("anna")));
    assert_eq!(store.sweep_audit(Millis(NOW.0 + 1)).await.expect("swept"), 1);
}

pub(crate) async fn a_deed_and_its_entry_are_stored_together_or_not_at_all(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let entry = |action: &str| AuditEntry {
        id: fresh(),
        at: NOW,
        user_id: Some(harness.user),
        username: None,
        credential: "browser".to_owned(),
        address: None,
        action: action.to_owned(),
        target: None,
        data: serde_json::json!({}),
    };
    let all = async || store.audit(&AuditFilter::default(), 10).await.expect("read");
    user(&harness, "taken", Quotas::default()).await;

    let refused = Deed::new(entry("refused"));
    let twice = store.create_user(new_user("taken", Quotas::default()));
    refused.during(twice).await.expect_err("the name is taken");
    assert!(!refused.is_stored() && all().await.is_empty(), "it was rolled back with the deed");

    let deed = Deed::new(entry("done"));
    let made = deed.during(async {
        // Two writes of one deed are one entry.
        store.create_user(new_user("anna", Quotas::default())).await?;
        store.create_user(new_user("bob", Quotas::default())).await
    });
    made.await.expect("made");
    assert!(deed.is_stored());
    assert_eq!(all().await.len(), 1);
    let data = serde_json::json!({ "status": 201 });
    let over = AuditEntry { target: Some("anna".to_owned()), data, ..deed.entry().clone() };
    store.complete_audit(over.clone()).await.expect("completed");
    let found = all().await;
    assert_eq!((found.len(), &found[0].target, &found[0].data), (1, &over.target, &over.data));

    let quiet = entry("wrote nothing");
    store.complete_audit(quiet).await.expect("completed");
    assert_eq!(all().await.len(), 2, "what wrote nothing is noted when it is over");
    user(&harness, "carl", Quotas::default()).await;
    assert_eq!(all().await.len(), 2, "outside of a deed nothing is noted");
}
