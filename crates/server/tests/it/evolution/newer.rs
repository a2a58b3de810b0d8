//! The routes that came with 2.4: served as well, since who points a newer product here asks for them.

use super::{answered, get, inbox, linked, listen, phone_shows, post, received, settled};
use crate::harness::{TestServer, answer, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_voice_message_is_played_for_its_writer() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, (&ana, &phone), json!({ "text": "listen" })).await;
    let body = json!({ "readMessages": [key] });
    let path = "/chat/markMessageAsPlayed/shop";
    answered("markMessageAsPlayed", post(&server, path, body).await);
    let told = json!({ "id": key["id"], "type": "played" });
    let heard = |shown: &Value| shown["receipts"].as_array().is_some_and(|all| all.contains(&told));
    phone_shows(&server, &ana, heard).await;
    let (status, _) = post(&server, "/chat/markMessageAsPlayed/shop", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn votes_are_counted_and_told() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let group = json!({ "subject": "Customers", "participants": [ana, bob] });
    let (_, group) = post(&server, "/group/create/shop", group).await;
    let poll = json!({
        "number": group["id"], "name": "When?", "selectableCount": 1, "values": ["now", "later"],
    });
    let (_, sent) = post(&server, "/message/sendPoll/shop", poll).await;
    let id = text(&sent["key"]["id"]);
    let mut news = listen(&server, "shop").await;
    let asked = json!({ "message": { "key": { "id": id } }, "remoteJid": group["id"] });
    let mut seen = Vec::new();
    for (voter, choice) in [(&ana, "now"), (&bob, "now"), (&ana, "later")] {
        inbox(&server, voter, 1).await;
        let vote = json!({ "to": group["id"], "vote": { "id": id, "options": [choice] } });
        server.phones(&format!("/admin/contacts/{voter}/messages"), vote).await;
        let upsert = news.told("messages.upsert", |_| true).await;
        let vote = &upsert["message"]["pollUpdateMessage"]["vote"]["selectedOptions"];
        assert_eq!(vote, &json!([choice]), "{upsert}");
        let update = news.told("messages.update", |data| data["keyId"] == id).await;
        assert_eq!(update["pollUpdates"], upsert["pollUpdates"], "{update}");
        let (status, votes) = post(&server, "/chat/getPollVote/shop", asked.clone()).await;
        assert_eq!((status, &votes), (StatusCode::OK, &update["pollUpdates"]));
        seen = vec![votes, settled(update)];
    }
    let names = |at: usize| seen[0][at]["voters"].clone();
    assert_eq!((names(0), names(1)), (person(&bob), person(&ana)), "the last vote of each counts");
    insta::assert_json_snapshot!("poll_update", seen[1]);
    answered("getPollVote", post(&server, "/chat/getPollVote/shop", asked).await);
    let other = json!({ "message": { "key": { "id": "nothing" } } });
    for (body, sentence) in [
        (other, json!(["Poll not found"])),
        (json!({}), json!([["instance requires property \"message\""]])),
    ] {
        let (status, answer) = post(&server, "/chat/getPollVote/shop", body).await;
        assert_eq!((status, &answer["response"]["message"]), (StatusCode::BAD_REQUEST, &sentence));
    }
    server.stop().await;
}

fn person(phone: &str) -> Value {
    json!([format!("{phone}@s.whatsapp.net")])
}

#[tokio::test]
async fn channels_are_what_whatsapp_says_that_the_owner_follows() {
    let server = TestServer::start().await;
    let (_, number) = linked(&server, "shop").await;
    let found = post(&server, "/chat/findChannels/shop", json!({})).await;
    assert_eq!(found, (StatusCode::OK, json!([])));
    // The owner follows one on the phone.
    let ana = server.contact("Ana").await;
    let new =
        json!({ "owner": ana, "name": "Cakes", "description": "Each week", "followers": [number] });
    let made = server.phones("/admin/newsletters", new).await;
    let (status, mut found) = post(&server, "/chat/findChannels/shop", json!({})).await;
    let channel = &mut found[0];
    assert_eq!((&channel["id"], &channel["remoteJid"]), (&made["jid"], &made["jid"]));
    assert_eq!(channel["invite"], made["inviteCode"]);
    for drawn in ["id", "remoteJid", "invite"] {
        channel[drawn] = json!("[drawn]");
    }
    answered("findChannels", (status, found));
    server.stop().await;
}

#[tokio::test]
async fn who_may_let_people_in_is_switched() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let group = json!({ "subject": "Customers", "participants": [ana] });
    let (_, group) = post(&server, "/group/create/shop", group).await;
    let id = text(&group["id"]);
    let path = format!("/group/updateMemberAddMode/shop?groupJid={id}");
    let mut news = listen(&server, "shop").await;
    for mode in ["admin_add", "all_member_add"] {
        let (status, answer) = post(&server, &path, json!({ "mode": mode })).await;
        let answer = answered(&format!("updateMemberAddMode.{mode}"), (status, answer));
        assert_eq!(answer["mode"], mode, "what WhatsApp has");
        let admits = json!(mode == "all_member_add");
        news.told("groups.update", |data| data[0]["memberAddMode"] == admits).await;
        let act = format!("{}/admin/contacts/{ana}/groups/{id}", server.network.base_url(false));
        let add = json!({ "action": "add", "participants": [bob] });
        self::answer(server.http.post(act).json(&add)).await;
        if mode == "all_member_add" {
            news.told("group-participants.update", |data| data["action"] == "add").await;
        }
        let (_, people) = get(&server, &format!("/group/participants/shop?groupJid={id}")).await;
        let is_in = people.to_string().contains(&bob);
        assert_eq!(is_in, mode == "all_member_add", "a member lets somebody in: {people}");
    }
    for body in [json!({}), json!({ "mode": "anybody" })] {
        let (status, refused) = post(&server, &path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    }
    server.stop().await;
}
