//! Files both ways, votes, and what becomes of stored messages.

use crate::harness::{World, named};
use crate::sending::PNG;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flowcore_domain::message::{MediaKind, MessageKey};
use flowcore_gateway::{
    Audience, MediaSource, NewContent, NewMedia, NewMessage, NewStatus, StatusContent,
    StoredMessage,
};
use serde_json::json;

/// Half a second of a tone at 8 kHz.
fn wav() -> Bytes {
    let samples = (0..4000_i32).flat_map(|n| {
        let sample = i16::try_from((n % 20 - 10) * 800).expect("small");
        sample.to_le_bytes()
    });
    let data: Vec<u8> = samples.collect();
    let length = u32::try_from(data.len()).expect("short");
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(36 + length).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&8000_u32.to_le_bytes());
    file.extend_from_slice(&16_000_u32.to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&data);
    file.into()
}

async fn stored(world: &World, id: &str) -> StoredMessage {
    let found = world.gateway.conversations().message(&world.caller, &named("shop"), id).await;
    found.expect("asked").expect("the message")
}

#[tokio::test(flavor = "multi_thread")]
async fn any_audio_becomes_a_voice_note_and_any_picture_a_sticker() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    world.linked("shop").await;
    let note = NewMedia::plain(MediaKind::VoiceNote, MediaSource::Bytes(wav()));
    let sent = world.send(NewMessage::plain(&ana, NewContent::Media(note))).await;
    let audio = &sent.content["audioMessage"];
    assert_eq!((&audio["ptt"], &audio["seconds"]), (&json!(true), &json!(1)));
    let bars = STANDARD.decode(audio["waveform"].as_str().expect("bars")).expect("base64");
    assert_eq!(bars.len(), 64);
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["type"], "voice");
    assert_eq!(seen["mimetype"], "audio/ogg; codecs=opus");
    let ogg = STANDARD.decode(seen["media"].as_str().expect("a file")).expect("base64");
    assert!(ogg.starts_with(b"OggS"));
    let png = MediaSource::Bytes(Bytes::from_static(PNG));
    let sticker = NewMedia::plain(MediaKind::Sticker, png);
    let sent = world.send(NewMessage::plain(&ana, NewContent::Media(sticker))).await;
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!((&seen["type"], &seen["mimetype"]), (&json!("sticker"), &json!("image/webp")));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_also_when_its_link_has_died() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{ana}/messages");
    let image = json!({
        "to": phone, "type": "image", "media": STANDARD.encode(PNG), "mimetype": "image/png",
    });
    let written = world.admin(&path, image).await;
    let id = written["id"].as_str().expect("an id").to_owned();
    world.receiver.until("the image", |body| body["event"] == "messages.upsert").await;
    let files = world.gateway.files();
    let file = files.of(&world.caller, &named("shop"), &id).await.expect("a file");
    assert_eq!(file.bytes, PNG);
    let fault = json!({ "target": "*", "fault": "media-410", "count": 1 });
    world.admin("/admin/faults", fault).await;
    let file = files.of(&world.caller, &named("shop"), &id).await.expect("a file");
    assert_eq!(file.bytes, PNG);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_are_opened_and_changes_are_applied() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{ana}/messages");
    let poll = NewContent::Poll {
        name: "When?".into(),
        options: vec!["now".into(), "later".into()],
        selectable: 1,
    };
    let sent = world.send(NewMessage::plain(&ana, poll)).await;
    world.on_phone(&ana, &sent.wa_id).await;
    let vote = json!({ "to": phone, "vote": { "id": sent.wa_id, "options": ["later"] } });
    world.admin(&path, vote).await;
    let told = world
        .receiver
        .until("the vote", |body| body["data"]["messageType"] == "pollUpdateMessage")
        .await;
    let vote = &told.body["data"]["message"]["pollUpdateMessage"]["vote"];
    assert_eq!(vote["selectedOptions"], json!(["later"]));

    let written = world.admin(&path, json!({ "to": phone, "text": "two" })).await;
    let id = written["id"].as_str().expect("an id").to_owned();
    world.admin(&path, json!({ "to": phone, "edit": { "id": id, "text": "three" } })).await;
    world.receiver.until("the edit", |body| body["event"] == "messages.edited").await;
    let now = stored(&world, &id).await;
    assert_eq!((now.text.as_deref(), now.edited_at.is_some()), (Some("three"), true));
    world.admin(&path, json!({ "to": phone, "delete": { "id": id } })).await;
    world.receiver.until("the deletion", |body| body["event"] == "messages.delete").await;
    assert!(stored(&world, &id).await.revoked_at.is_some());

    let ours = world.send(NewMessage::plain(&ana, NewContent::Text("one".into()))).await;
    let key = MessageKey {
        chat: ours.chat.clone(),
        from_me: true,
        id: ours.wa_id.clone(),
        participant: None,
    };
    let messages = world.gateway.messages();
    messages.edit(&world.caller, &named("shop"), key.clone(), "won").await.expect("edited");
    assert_eq!(stored(&world, &ours.wa_id).await.text.as_deref(), Some("won"));
    messages.delete(&world.caller, &named("shop"), key).await.expect("taken back");
    assert!(stored(&world, &ours.wa_id).await.revoked_at.is_some());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_seen_by_those_it_is_for() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    world.linked("shop").await;
    let status = NewStatus {
        content: StatusContent::Text {
            text: "open today".into(),
            background: 0xFF1E_6E4F,
            font: 1,
        },
        audience: Audience::People(vec![ana.clone()]),
    };
    let messages = world.gateway.messages();
    let sent = messages.post_status(&world.caller, &named("shop"), &status).await.expect("shown");
    assert_eq!(sent.chat.to_string(), "status@broadcast");
    assert_eq!(sent.recipients.len(), 1);
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["text"], "open today");
    world.gateway.stop().await;
}
