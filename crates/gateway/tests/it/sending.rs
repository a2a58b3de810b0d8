//! Messages of every kind, read on the other side's phone.

use crate::harness::{World, named};
use bytes::Bytes;
use flowcore_domain::message::{
    Button, ContactCard, List, ListRow, ListSection, MediaKind, MessageKey,
};
use flowcore_gateway::{
    MediaSource, NewButtons, NewContent, NewMedia, NewMessage, QuotedMessage, ServiceError,
    StoredMessage,
};
use serde_json::{Value, json};
use std::time::Duration;

/// One pixel.
pub(crate) const PNG: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0d\x49\x44\x41\x54\x78\x9c\x63\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99\x3d\x1d\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

impl World {
    pub(crate) async fn send(&self, message: NewMessage) -> StoredMessage {
        let sent = self.gateway.messages().send(&self.caller, &named("shop"), message, None).await;
        sent.expect("sent")
    }

    /// A message on a phone, by its id.
    pub(crate) async fn on_phone(&self, phone: &str, id: &str) -> Value {
        let mut after = String::new();
        for _ in 0..20 {
            let path = format!("/admin/contacts/{phone}/messages?wait=20&after={after}");
            let got = self.ask(&path).await;
            let list = got["messages"].as_array().expect("a list").clone();
            if let Some(found) = list.iter().find(|message| message["id"] == id) {
                return found.clone();
            }
            let newest = list.last().and_then(|message| message["id"].as_str());
            newest.expect("the message comes").clone_into(&mut after);
        }
        panic!("{id} never came");
    }
}

fn text(text: &str) -> NewContent {
    NewContent::Text(text.to_owned())
}

fn key(message: &StoredMessage) -> MessageKey {
    MessageKey {
        chat: message.chat.clone(),
        from_me: message.from_me,
        id: message.wa_id.clone(),
        participant: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_arrives_as_it_was_meant() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    let path = format!("/admin/contacts/{ana}/messages");
    world.hook("shop").await;
    let asked = world.admin(&path, json!({ "to": phone, "text": "two?" })).await;
    let asked = asked["id"].as_str().expect("an id").to_owned();
    world.receiver.until("the question", |body| body["event"] == "messages.upsert").await;

    let mut reply = NewMessage::plain(&ana, text("two it is"));
    reply.quoted = Some(QuotedMessage { id: asked.clone(), key: None, text: None });
    reply.delay = Duration::from_millis(50);
    let sent = world.send(reply).await;
    assert_eq!(sent.kind, "conversation");
    assert_eq!(sent.context.as_ref().expect("context")["stanzaId"], asked);
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!((&seen["text"], &seen["quoted"]["id"]), (&json!("two it is"), &json!(asked)));

    let asked_for = MessageKey {
        chat: sent.chat.clone(),
        from_me: false,
        id: asked.clone(),
        participant: None,
    };
    let messages = world.gateway.messages();
    let reaction = messages.react(&world.caller, &named("shop"), asked_for, "👍").await;
    let seen = world.on_phone(&ana, &reaction.expect("sent").wa_id).await;
    assert_eq!(seen["reaction"], json!({ "id": asked, "emoji": "👍" }));

    let edit = messages.edit(&world.caller, &named("shop"), key(&sent), "three it is").await;
    let seen = world.on_phone(&ana, &edit.expect("sent").wa_id).await;
    assert_eq!(seen["edit"], json!({ "id": sent.wa_id, "text": "three it is" }));

    let gone = messages.delete(&world.caller, &named("shop"), key(&sent)).await;
    let seen = world.on_phone(&ana, &gone.expect("sent").wa_id).await;
    assert_eq!(seen["delete"]["id"], sent.wa_id);

    let passed = messages.forward(&world.caller, &named("shop"), &ana, &asked).await;
    let seen = world.on_phone(&ana, &passed.expect("sent").wa_id).await;
    assert_eq!(seen["text"], "two?");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn places_people_polls_menus_and_buttons_arrive() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    world.linked("shop").await;
    let place = NewContent::Location {
        latitude: -23.5,
        longitude: -46.6,
        name: Some("Shop".into()),
        address: Some("Rua 1".into()),
    };
    let sent = world.send(NewMessage::plain(&ana, place)).await;
    assert_eq!(sent.kind, "locationMessage");
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(
        (&seen["location"]["latitude"], &seen["location"]["name"]),
        (&json!(-23.5), &json!("Shop"))
    );
    let card = |name: &str| ContactCard {
        full_name: name.into(),
        phone: "+55 11 99999-9999".into(),
        number: "5511999999999".into(),
        organization: None,
        email: None,
        url: None,
    };
    let both = NewContent::Contacts(vec![card("Bea"), card("Cid")]);
    let sent = world.send(NewMessage::plain(&ana, both)).await;
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["contact"]["contacts"][1]["name"], "Cid");
    let poll = NewContent::Poll {
        name: "When?".into(),
        options: vec!["now".into(), "later".into()],
        selectable: 1,
    };
    let sent = world.send(NewMessage::plain(&ana, poll)).await;
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["poll"]["options"], json!(["now", "later"]));
    let menu = NewContent::List(List {
        title: "Menu".into(),
        description: None,
        button: "Open".into(),
        footer: None,
        sections: vec![ListSection {
            title: "Drinks".into(),
            rows: vec![ListRow { id: "1".into(), title: "Tea".into(), description: None }],
        }],
    });
    let sent = world.send(NewMessage::plain(&ana, menu)).await;
    assert_eq!(sent.content["listMessage"]["sections"][0]["rows"][0]["title"], "Tea");
    world.on_phone(&ana, &sent.wa_id).await;
    let buttons = NewContent::Buttons(NewButtons {
        title: "Sure?".into(),
        description: None,
        footer: None,
        image: Some(MediaSource::Bytes(Bytes::from_static(PNG))),
        buttons: vec![Button::Reply { text: "Yes".into(), id: "y".into() }],
    });
    let sent = world.send(NewMessage::plain(&ana, buttons)).await;
    assert_eq!(sent.kind, "interactiveMessage");
    world.on_phone(&ana, &sent.wa_id).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_and_can_be_opened() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    world.linked("shop").await;
    let file = |kind, bytes: &'static [u8]| {
        NewMedia::plain(kind, MediaSource::Bytes(Bytes::from_static(bytes)))
    };
    let mut image = file(MediaKind::Image, PNG);
    image.caption = Some("the menu".into());
    let sent = world.send(NewMessage::plain(&ana, NewContent::Media(image))).await;
    assert_eq!((sent.kind.as_str(), sent.text.as_deref()), ("imageMessage", Some("the menu")));
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!((&seen["type"], &seen["caption"]), (&json!("image"), &json!("the menu")));
    let mut document = file(MediaKind::Document, b"one, two");
    document.file_name = Some("list.csv".into());
    document.caption = Some("as asked".into());
    let sent = world.send(NewMessage::plain(&ana, NewContent::Media(document))).await;
    assert_eq!(sent.kind, "documentMessage");
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["fileName"], "list.csv");
    assert_eq!(seen["mimetype"], "text/csv");
    assert_eq!(seen["media"], "b25lLCB0d28=");
    let lie = NewContent::Media(file(MediaKind::Image, b"no picture"));
    let refused = world
        .gateway
        .messages()
        .send(&world.caller, &named("shop"), NewMessage::plain(&ana, lie), None)
        .await;
    assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{refused:?}");
    world.gateway.stop().await;
}
