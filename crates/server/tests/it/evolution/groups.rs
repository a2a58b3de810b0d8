//! `/group/*`: from making to leaving. What a route changes is read from WhatsApp.

use super::{answered, ask, delete, get, group_of, inbox, linked, post, received, settled};
use crate::harness::{ADMIN_KEY, TestServer, text};
use flowcore_gateway::png_data_url;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

struct Seen(Vec<Value>);

impl Seen {
    fn add(&mut self, name: &str, (status, answer): (StatusCode, Value)) -> Value {
        let shown = json!({
            "route": name, "status": status.as_u16(), "answer": hidden(settled(answer.clone())),
        });
        self.0.push(shown);
        answer
    }
}

/// Without codes of invitations, which are drawn.
fn hidden(mut answer: Value) -> Value {
    for name in ["inviteCode", "inviteUrl", "descId", "pictureUrl"] {
        if answer.get(name).is_some_and(Value::is_string) {
            answer[name] = json!("[drawn]");
        }
    }
    answer
}

#[tokio::test]
async fn a_group_is_made_managed_and_left() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let mut seen = Seen(Vec::new());
    let new = json!({ "subject": "Customers", "participants": [ana], "description": "Ours" });
    let made = seen.add("group_create", post(&server, "/group/create/shop", new).await);
    let jid = text(&made["id"]);
    let on = |route: &str| format!("/group/{route}/shop?groupJid={jid}");
    let subject = json!({ "subject": "Friends" });
    seen.add("updateGroupSubject", post(&server, &on("updateGroupSubject"), subject).await);
    let about = json!({ "description": "Of the shop" });
    seen.add("updateGroupDescription", post(&server, &on("updateGroupDescription"), about).await);
    let image = json!({ "image": png_data_url("group") });
    seen.add("updateGroupPicture", post(&server, &on("updateGroupPicture"), image).await);
    let add = json!({ "groupJid": jid, "action": "add", "participants": [bob] });
    seen.add("updateParticipant", post(&server, "/group/updateParticipant/shop", add).await);
    let promote = json!({ "action": "promote", "participants": [bob] });
    seen.add("updateParticipant, admin", post(&server, &on("updateParticipant"), promote).await);
    let setting = json!({ "action": "announcement" });
    seen.add("updateSetting", post(&server, &on("updateSetting"), setting).await);
    let days = json!({ "expiration": 86_400 });
    seen.add("toggleEphemeral", post(&server, &on("toggleEphemeral"), days).await);
    let expected = json!({
        "subject": "Friends", "description": "Of the shop", "expiration": 86_400,
        "switches": ["announcement"],
        "members": { (phone.clone()): "superadmin", (ana.clone()): "member", (bob.clone()): "admin" },
    });
    kept(&server, &jid, &expected).await;
    assert!(group_of(&server, &jid).await["picture"].is_string());
    members_change(&server, &jid, (&ana, &bob)).await;
    let info = seen.add("findGroupInfos", get(&server, &on("findGroupInfos")).await);
    assert_eq!((&info["subject"], &info["announce"]), (&json!("Friends"), &json!(true)), "{info}");
    let short = jid.trim_end_matches("@g.us");
    let people = get(&server, &format!("/group/participants/shop?groupJid={short}")).await;
    let people = seen.add("participants", people);
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(3), "{people}");
    seen.add(
        "fetchAllGroups",
        get(&server, "/group/fetchAllGroups/shop?getParticipants=false").await,
    );
    let code = text(&seen.add("inviteCode", get(&server, &on("inviteCode")).await)["inviteCode"]);
    let found = get(&server, &format!("/group/inviteInfo/shop?inviteCode={code}")).await;
    assert_eq!(seen.add("inviteInfo", found)["id"], jid);
    let invite = json!({ "groupJid": jid, "description": "Come in", "numbers": [ana] });
    seen.add("sendInvite", post(&server, "/group/sendInvite/shop", invite).await);
    assert_eq!(inbox(&server, &ana, 1).await.len(), 1, "an invitation");
    let renewed =
        seen.add("revokeInviteCode", post(&server, &on("revokeInviteCode"), json!({})).await);
    assert_ne!(renewed["inviteCode"], code);
    kept(&server, &jid, &json!({ "inviteCode": renewed["inviteCode"] })).await;
    let (status, stale) = get(&server, &format!("/group/inviteInfo/shop?inviteCode={code}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{stale}");
    seen.add("leaveGroup", delete(&server, &on("leaveGroup")).await);
    let (_, left) = get(&server, "/group/fetchAllGroups/shop?getParticipants=true").await;
    assert_eq!(left, json!([]));
    let members = group_of(&server, &jid).await["members"].take();
    assert!(members.get(&phone).is_none(), "{members}");
    insta::assert_json_snapshot!("groups", seen.0);
    server.stop().await;
}

/// The network has of a group what is expected.
async fn kept(server: &TestServer, jid: &str, expected: &Value) {
    let group = group_of(server, jid).await;
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&group[name], value, "{name} of {group}");
    }
}

/// Each change of members is one in the network; in the end all is as before.
async fn members_change(server: &TestServer, jid: &str, (ana, bob): (&str, &str)) {
    let path = format!("/group/updateParticipant/shop?groupJid={jid}");
    for (action, who, rank) in [
        ("demote", bob, json!("member")),
        ("promote", bob, json!("admin")),
        ("remove", ana, Value::Null),
        ("add", ana, json!("member")),
    ] {
        let body = json!({ "action": action, "participants": [who] });
        let (status, told) = post(server, &path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
        assert_eq!(group_of(server, jid).await["members"][who], rank, "{action}: {told}");
    }
}

#[tokio::test]
async fn who_has_the_code_of_an_invitation_comes_in() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let new = json!({ "subject": "Friends", "participants": [bob] });
    let group = server.phones(&format!("/admin/contacts/{ana}/groups"), new).await;
    let path = format!("/group/acceptInviteCode/shop?inviteCode={}", text(&group["inviteCode"]));
    let joined = answered("acceptInviteCode", get(&server, &path).await);
    assert_eq!(joined["groupJid"], group["jid"]);
    let members = group_of(&server, &text(&group["jid"])).await["members"].take();
    assert_eq!(members[&phone], "member", "{members}");
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_done_with_groups_is_said_in_their_shape() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let of = "?groupJid=120363000000000000@g.us";
    let mut seen = Vec::new();
    for (method, path, body) in [
        (Method::POST, "create/shop".to_owned(), json!({})),
        (Method::POST, "create/shop".to_owned(), json!({ "subject": 7, "participants": [] })),
        (Method::POST, "create/shop".to_owned(), json!({ "subject": " ", "participants": [ana] })),
        (
            Method::POST,
            "create/shop".to_owned(),
            json!({ "subject": "x", "participants": ["4915100000000"] }),
        ),
        (Method::POST, "updateGroupSubject/shop".to_owned(), json!({ "subject": "x" })),
        (Method::POST, "updateGroupSubject/shop?groupJid=me".to_owned(), json!({ "subject": "x" })),
        (Method::POST, format!("updateGroupSubject/shop{of}"), json!({})),
        (Method::POST, format!("updateGroupSubject/shop{of}"), json!({ "subject": "x" })),
        (Method::POST, format!("updateGroupPicture/shop{of}"), json!({ "image": "!" })),
        (
            Method::POST,
            format!("updateParticipant/shop{of}"),
            json!({ "action": "eat", "participants": ["1"] }),
        ),
        (Method::POST, format!("updateSetting/shop{of}"), json!({ "action": "x" })),
        (Method::POST, format!("toggleEphemeral/shop{of}"), json!({ "expiration": 5 })),
        (Method::GET, format!("findGroupInfos/shop{of}"), Value::Null),
        (Method::GET, "findGroupInfos/shop".to_owned(), Value::Null),
        (Method::GET, "fetchAllGroups/shop".to_owned(), Value::Null),
        (Method::GET, "inviteInfo/shop?inviteCode=short".to_owned(), Value::Null),
        (Method::GET, "acceptInviteCode/shop".to_owned(), Value::Null),
        (
            Method::POST,
            "sendInvite/shop".to_owned(),
            json!({ "groupJid": "1@g.us", "numbers": [] }),
        ),
        (Method::DELETE, "leaveGroup/shop".to_owned(), Value::Null),
    ] {
        let path = format!("/group/{path}");
        let body = Some(body).filter(|body| !body.is_null());
        let (status, answer) = ask(&server, ADMIN_KEY, (method, &path), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        seen.push(json!({ "path": path, "answer": answer["response"]["message"] }));
    }
    insta::assert_json_snapshot!("groups_refused", seen);
    server.stop().await;
}

#[tokio::test]
async fn members_have_the_names_and_pictures_that_are_known() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let picture = json!({ "picture": "anBlZw==" });
    server.phones(&format!("/admin/contacts/{ana}/profile"), picture).await;
    received(&server, (&ana, &phone), json!({ "text": "hello" })).await;
    let group = json!({ "subject": "Customers", "participants": [ana, bob] });
    let (_, group) = post(&server, "/group/create/shop", group).await;
    let path = format!("/group/participants/shop?groupJid={}", text(&group["id"]));
    let of = |people: &Value, phone: &str| {
        let number = json!(format!("{phone}@s.whatsapp.net"));
        let people = people["participants"].as_array().expect("a list");
        people.iter().find(|one| one["phoneNumber"] == number).expect("a member").clone()
    };
    let asked = json!({ "number": ana });
    let (_, shown) = post(&server, "/chat/fetchProfilePictureUrl/shop", asked).await;
    let (status, people) = get(&server, &path).await;
    assert_eq!(status, StatusCode::OK, "{people}");
    assert_eq!(of(&people, &ana)["imgUrl"], shown["profilePictureUrl"]);
    assert!(shown["profilePictureUrl"].is_string(), "{shown}");
    assert_eq!(of(&people, &ana)["name"], "Ana");
    let stranger = of(&people, &bob);
    assert!(stranger.get("name").is_none() && stranger.get("imgUrl").is_none(), "{stranger}");
    server.stop().await;
}
