//! `/message/*`: what each route answers, and what the other side has then.

use super::{answered, ask, inbox, linked, post, received, settled};
use crate::harness::{ADMIN_KEY, TestServer, answer, text};
use crate::webhooks::Receiver;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_gateway::png_data_url;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

/// A picture that any decoder reads.
fn picture() -> String {
    png_data_url("flowcore").expect("a picture")
}

/// Half a second of a tone, as WAVE.
fn tone() -> Vec<u8> {
    const RATE: u32 = 16_000;
    let samples: Vec<u8> = (0..RATE / 2)
        .flat_map(|n| {
            let angle = f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(RATE);
            #[expect(clippy::cast_possible_truncation, reason = "within the range of a sample")]
            let sample = (angle.sin() * 12_000.0) as i16;
            sample.to_le_bytes()
        })
        .collect();
    let length = u32::try_from(samples.len()).expect("short");
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

/// Three seconds of nothing, as MP4.
fn film() -> Vec<u8> {
    let part = |name: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len() + 8).expect("short");
        [&length.to_be_bytes()[..], name, content].concat()
    };
    let mut header = [0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&3000_u32.to_be_bytes());
    let movie = part(b"moov", &part(b"mvhd", &header));
    [part(b"ftyp", b"isom\0\0\x02\0isommp41"), part(b"mdat", &[0; 64]), movie].concat()
}

/// A form with a file, as browsers post it.
fn form(
    server: &TestServer,
    route: &str,
    fields: &[(&str, &str)],
    (name, file): (&str, &[u8]),
) -> RequestBuilder {
    let mut body = Vec::new();
    for (field, value) in fields {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        body.extend(head.into_bytes());
        body.extend(format!("{value}\r\n").into_bytes());
    }
    let head = format!("name=\"file\"; filename=\"{name}\"\r\n\r\n");
    body.extend(format!("--b\r\nContent-Disposition: form-data; {head}").into_bytes());
    body.extend(file);
    body.extend(b"\r\n--b--\r\n");
    let request = server.plain(Method::POST, &format!("/message/{route}/shop"));
    let request = request.header("apikey", ADMIN_KEY);
    request.header("content-type", "multipart/form-data; boundary=b").body(body)
}

/// Sends and takes a snapshot of the answer and of what arrived.
async fn sends(server: &TestServer, contact: &str, count: usize, name: &str, body: Value) -> Value {
    let mut body = body;
    body["number"] = json!(contact);
    let (status, sent) = post(server, &format!("/message/{name}/shop"), body).await;
    assert_eq!(status, StatusCode::CREATED, "{name}: {sent}");
    let got = inbox(server, contact, count).await;
    let newest = got.last().expect("a message").clone();
    assert_eq!(newest["id"], sent["key"]["id"], "{name}: {newest}");
    let seen = json!({ "answer": settled(sent.clone()), "arrived": settled(arrived(newest)) });
    insta::assert_json_snapshot!(name, seen);
    sent
}

/// Without what depends on where it came.
fn arrived(mut message: Value) -> Value {
    for name in ["timestamp", "at", "mediaUrl"] {
        message.as_object_mut().map(|fields| fields.remove(name));
    }
    message
}

#[tokio::test]
async fn every_kind_without_a_file_arrives() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let first = sends(&server, &ana, 1, "sendText", json!({ "text": "Hi *Ana*" })).await;
    let place =
        json!({ "latitude": -23.5, "longitude": -46.6, "name": "Shop", "address": "Street 1" });
    sends(&server, &ana, 2, "sendLocation", place).await;
    let card =
        json!({ "fullName": "Bob", "phoneNumber": "+55 11 98888-7777", "organization": "Bobs" });
    sends(&server, &ana, 3, "sendContact", json!({ "contact": [card] })).await;
    let poll = json!({ "name": "When?", "selectableCount": 1, "values": ["now", "later"] });
    sends(&server, &ana, 4, "sendPoll", poll).await;
    let rows = json!([{ "title": "Blue", "rowId": "b", "description": "as the sky" }]);
    let menu = json!({
        "title": "Colours", "footerText": "the shop", "buttonText": "Choose",
        "sections": [{ "title": "All", "rows": rows }],
    });
    sends(&server, &ana, 5, "sendList", menu).await;
    let buttons = json!({
        "title": "Sure?", "description": "It is the last one.", "footer": "the shop",
        "buttons": [{ "type": "reply", "displayText": "Yes", "id": "y" }],
    });
    sends(&server, &ana, 6, "sendButtons", buttons).await;
    let reaction = json!({ "key": first["key"], "reaction": "👍" });
    let (status, reacted) = post(&server, "/message/sendReaction/shop", reaction).await;
    assert_eq!(status, StatusCode::CREATED, "{reacted}");
    insta::assert_json_snapshot!("sendReaction", settled(reacted));
    let seen = inbox(&server, &ana, 7).await.pop().expect("a reaction");
    assert_eq!(seen["reaction"], json!({ "id": first["key"]["id"], "emoji": "👍" }), "{seen}");
    server.stop().await;
}

#[tokio::test]
async fn texts_have_options_in_both_shapes() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let question = received(&server, (&ana, &phone), json!({ "text": "How much?" })).await;
    let question = text(&question["id"]);
    let before = inbox(&server, &ana, 0).await.len();
    let body = json!({
        "number": format!("+{ana}"), "text": "Ten", "delay": 300, "linkPreview": false,
        "quoted": { "key": { "id": question } },
    });
    let began = Instant::now();
    let (status, sent) = post(&server, "/message/sendText/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    assert!(began.elapsed().as_millis() >= 300, "the call takes as long as the typing");
    insta::assert_json_snapshot!("quoted", settled(sent));
    let got = inbox(&server, &ana, before + 1).await.pop().expect("a message");
    assert_eq!((&got["text"], &got["quoted"]["id"]), (&json!("Ten"), &json!(question)), "{got}");
    let image = json!({
        "number": ana, "mediatype": "image", "media": picture(),
        "quoted": { "key": { "id": question } },
    });
    let (_, sent) = post(&server, "/message/sendMedia/shop", image).await;
    let context = &sent["contextInfo"];
    assert_eq!(context["quotedMessage"]["conversation"], "How much?", "beside a file too: {sent}");
    let got = inbox(&server, &ana, before + 2).await.pop().expect("a message");
    assert_eq!(got["quoted"]["id"], question.as_str(), "{got}");
    let old = json!({
        "number": ana, "options": { "delay": 1, "presence": "composing" },
        "textMessage": { "text": "as in version 1" },
    });
    let (status, sent) = post(&server, "/message/sendText/shop", old).await;
    assert_eq!(
        (status, &sent["message"]["conversation"]),
        (StatusCode::CREATED, &json!("as in version 1")),
        "{sent}"
    );
    let got = inbox(&server, &ana, before + 3).await;
    assert_eq!(got.last().expect("a message")["text"], "as in version 1");
    server.stop().await;
}

#[tokio::test]
async fn who_is_mentioned_in_a_group_sees_it() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let new = json!({ "subject": "Customers", "participants": [ana, bob] });
    let (_, group) = post(&server, "/group/create/shop", new).await;
    let everybody = json!({ "text": "all of you", "mentionsEveryOne": true });
    let by_name = json!({ "text": "you", "mentioned": [ana] });
    let nobody = json!({ "text": "whoever", "mentionsEveryOne": false });
    let as_in_version_1 = json!({
        "options": { "mentions": { "everyOne": true } }, "textMessage": { "text": "all again" },
    });
    let each = [(everybody, 3), (by_name, 1), (nobody, 0), (as_in_version_1, 3)];
    for (nth, (mut body, count)) in each.into_iter().enumerate() {
        body["number"] = group["id"].clone();
        let (status, sent) = post(&server, "/message/sendText/shop", body.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{sent}");
        let got = inbox(&server, &bob, nth + 1).await.pop().expect("a message");
        let mentioned = got["mentioned"].as_array().cloned().unwrap_or_default();
        assert_eq!(mentioned.len(), count, "{body}: {got}");
        if count == 1 {
            let url = format!("{}/admin/contacts/{ana}", server.network.base_url(false));
            let (_, who) = answer(server.http.get(url)).await;
            assert!([&who["jid"], &who["lid"]].contains(&&mentioned[0]), "{who}: {got}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_recording_and_a_sticker_are_sent_as_they_are_when_asked_to() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let wave = tone();
    let audio = json!({ "number": ana, "audio": STANDARD.encode(&wave), "encoding": false });
    let (status, sent) = post(&server, "/message/sendWhatsAppAudio/shop", audio).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let got = inbox(&server, &ana, 1).await.pop().expect("a recording");
    assert_eq!((&got["type"], &got["media"]), (&json!("voice"), &json!(STANDARD.encode(&wave))));
    let sticker = json!({ "number": ana, "sticker": picture(), "notConvertSticker": true });
    let (status, refused) = post(&server, "/message/sendSticker/shop", sticker).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a picture is no sticker: {refused}");
    let text = json!({ "number": ana, "text": "no file" });
    let (_, sent) = post(&server, "/message/sendText/shop", text).await;
    let wanted = json!({ "message": { "key": { "id": sent["key"]["id"] } } });
    let (status, refused) = post(&server, "/chat/getBase64FromMediaMessage/shop", wanted).await;
    let said = &refused["response"]["message"];
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    assert_eq!(said, &json!(["The message is not of the media type"]));
    server.stop().await;
}

#[tokio::test]
async fn a_message_is_changed_and_taken_back() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let body = json!({ "number": ana, "text": "Nine" });
    let (_, sent) = post(&server, "/message/sendText/shop", body).await;
    let edit = json!({ "number": ana, "text": "Ten", "key": sent["key"] });
    let (status, edited) = post(&server, "/chat/updateMessage/shop", edit).await;
    assert_eq!(status, StatusCode::OK, "{edited}");
    insta::assert_json_snapshot!("updateMessage", settled(edited));
    // The change is a message of its own, which the phone applies to the first.
    assert_eq!(inbox(&server, &ana, 2).await[0]["text"], "Ten");
    let key = json!({
        "id": sent["key"]["id"], "remoteJid": sent["key"]["remoteJid"], "fromMe": true,
    });
    let path = (Method::DELETE, "/chat/deleteMessageForEveryone/shop");
    let (status, deleted) = ask(&server, ADMIN_KEY, path, Some(key)).await;
    assert_eq!(status, StatusCode::CREATED, "{deleted}");
    insta::assert_json_snapshot!("deleteMessageForEveryone", settled(deleted));
    assert_eq!(inbox(&server, &ana, 3).await[0]["deleted"], true);
    server.stop().await;
}

#[tokio::test]
async fn files_go_out_as_base64_and_as_a_part_of_a_form() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    linked(&server, "shop").await;
    let hook = json!({
        "url": receiver.url(), "enabled": true, "base64": true, "events": ["SEND_MESSAGE"],
    });
    post(&server, "/webhook/set/shop", hook).await;
    let ana = server.contact("Ana").await;
    let image =
        json!({ "number": ana, "mediatype": "image", "media": picture(), "caption": "look" });
    let sent = answered("sendMedia", post(&server, "/message/sendMedia/shop", image).await);
    let wanted = json!({ "message": { "key": { "id": sent["key"]["id"] } } });
    let file = post(&server, "/chat/getBase64FromMediaMessage/shop", wanted).await;
    let file = answered("getBase64FromMediaMessage", file);
    for (id, sentence) in [("nothing", "Message not found")] {
        let wanted = json!({ "message": { "key": { "id": id } } });
        let (status, answer) = post(&server, "/chat/getBase64FromMediaMessage/shop", wanted).await;
        assert_eq!(
            (status, &answer["response"]["message"][0]),
            (StatusCode::BAD_REQUEST, &json!(sentence))
        );
    }
    let event = receiver.next().await;
    let mut told = event["data"].clone();
    assert_eq!((&event["event"], &told["key"]), (&json!("send.message"), &sent["key"]));
    assert_eq!(told["message"]["base64"].take(), file["base64"]);
    told["message"].as_object_mut().expect("an object").remove("base64");
    assert_eq!((&told["message"], &told["contextInfo"]), (&sent["message"], &sent["contextInfo"]));
    let image = &sent["message"]["imageMessage"];
    assert!(image["mediaKey"]["31"].is_u64() && image["fileLength"]["low"].is_i64(), "{image}");
    let stored = json!({ "where": { "key": { "id": sent["key"]["id"] } } });
    let (_, found) = post(&server, "/chat/findMessages/shop", stored).await;
    assert_eq!(found["messages"]["records"][0]["message"], sent["message"], "as it was told");
    let fields = [("number", &*ana), ("mediatype", "document"), ("delay", "1")];
    let request = form(&server, "sendMedia", &fields, ("bill.pdf", b"%PDF-1.4 hello"));
    let (status, sent) = answer(request).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    assert_eq!(sent["message"]["documentMessage"]["fileName"], "bill.pdf", "{sent}");
    let request = form(&server, "sendWhatsAppAudio", &[("number", &*ana)], ("a.wav", &tone()));
    answered("sendWhatsAppAudio", answer(request).await);
    let sticker = json!({ "number": ana, "sticker": picture() });
    answered("sendSticker", post(&server, "/message/sendSticker/shop", sticker).await);
    let note = json!({ "number": ana, "video": STANDARD.encode(film()) });
    answered("sendPtv", post(&server, "/message/sendPtv/shop", note).await);
    let got = inbox(&server, &ana, 5).await;
    let kinds: Vec<String> = got.iter().map(|one| text(&one["type"])).collect();
    assert_eq!(kinds, ["image", "document", "voice", "sticker", "video"]);
    assert!(got.iter().all(|one| one["media"].is_string()), "the phone opens each");
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let nobody = "4915100000000";
    let key = json!({ "id": "X", "remoteJid": ana, "fromMe": false });
    let mut seen = Vec::new();
    for (route, body) in [
        ("sendText", json!({})),
        ("sendText", json!({ "number": 7, "text": 7, "delay": "long", "mentioned": [1] })),
        ("sendText", json!({ "number": ana, "text": " " })),
        ("sendText", json!({ "number": ana, "text": "x".repeat(70_000) })),
        ("sendText", json!({ "number": ana, "text": "x", "delay": 120_001 })),
        (
            "sendText",
            json!({ "number": ana, "text": "x", "quoted": { "key": { "id": "nothing" } } }),
        ),
        ("sendText", json!({ "number": nobody, "text": "x" })),
        ("sendText", json!({ "number": "letters", "text": "x" })),
        ("sendMedia", json!({ "number": ana, "mediatype": "hologram" })),
        ("sendMedia", json!({ "number": ana, "mediatype": "image" })),
        ("sendMedia", json!({ "number": ana, "mediatype": "image", "media": "!!!" })),
        ("sendMedia", json!({ "number": ana, "mediatype": "image", "media": "aGVsbG8=" })),
        ("sendMedia", json!({ "number": ana, "mediatype": "document", "media": "aGVsbG8=" })),
        (
            "sendMedia",
            json!({ "number": ana, "mediatype": "image", "media": "http://10.0.0.1/a.png" }),
        ),
        ("sendPtv", json!({ "number": ana })),
        ("sendWhatsAppAudio", json!({ "number": ana, "audio": 5 })),
        ("sendSticker", json!({ "number": ana, "sticker": "" })),
        ("sendLocation", json!({ "number": ana, "latitude": "north", "longitude": 0 })),
        (
            "sendLocation",
            json!({ "number": ana, "latitude": 91, "longitude": 0, "name": "", "address": "" }),
        ),
        ("sendContact", json!({ "number": ana, "contact": [] })),
        ("sendContact", json!({ "number": ana, "contact": [{ "phoneNumber": "1" }] })),
        ("sendReaction", json!({ "key": { "id": "X" }, "reaction": 1 })),
        ("sendReaction", json!({ "key": key, "reaction": "ok" })),
        ("sendPoll", json!({ "number": ana, "name": "?", "selectableCount": 11, "values": ["a"] })),
        (
            "sendPoll",
            json!({ "number": ana, "name": "?", "selectableCount": 1, "values": ["a", "a"] }),
        ),
        ("sendList", json!({ "number": ana, "title": "x", "sections": [{ "title": "y" }] })),
        ("sendButtons", json!({ "number": ana, "title": "x", "buttons": [{ "type": "reply" }] })),
        (
            "sendButtons",
            json!({ "number": ana, "title": "x", "buttons": [
            { "type": "reply", "displayText": "a", "id": "a" }, { "type": "url", "displayText": "b", "url": "c" },
        ] }),
        ),
    ] {
        let (status, answer) = post(&server, &format!("/message/{route}/shop"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{route}: {answer}");
        seen.push(json!({ "route": route, "answer": answer["response"]["message"] }));
    }
    for (route, method, body) in [
        ("updateMessage", Method::POST, json!({ "number": ana, "text": "x" })),
        ("updateMessage", Method::POST, json!({ "number": ana, "text": "x", "key": key })),
        ("deleteMessageForEveryone", Method::DELETE, json!({ "id": "X" })),
    ] {
        let path = format!("/chat/{route}/shop");
        let (status, answer) = ask(&server, ADMIN_KEY, (method, &path), Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{route}: {answer}");
        seen.push(json!({ "route": route, "answer": answer["response"]["message"] }));
    }
    insta::assert_json_snapshot!("messages_refused", seen);
    assert!(inbox(&server, &ana, 0).await.is_empty(), "nothing arrived");
    super::create(&server, "other").await;
    let body = json!({ "number": ana, "text": "x" });
    let (status, answer) = post(&server, "/message/sendText/other", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["response"]["message"][0], "Error: Connection Closed", "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_voice_note_is_had_in_mp4_and_a_picture_as_it_is() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let voice = json!({ "voice": { "text": "Do you have blue ones?", "seconds": 2 } });
    let picture = picture();
    let (_, picture) = picture.split_once(',').expect("a data URL");
    let image = json!({ "type": "image", "media": picture, "mimetype": "image/png" });
    for (message, mimetype, ending, mark) in [
        (voice, "audio/mp4", ".mp4", &b"ftypisom"[..]),
        (image, "image/png", ".png", &b"G\r\n\x1a"[..]),
    ] {
        let key = received(&server, (&ana, &phone), message).await;
        let wanted = json!({ "message": { "key": { "id": key["id"] } }, "convertToMp4": true });
        let (status, file) = post(&server, "/chat/getBase64FromMediaMessage/shop", wanted).await;
        assert_eq!((status, &file["mimetype"]), (StatusCode::CREATED, &json!(mimetype)));
        assert_eq!(file["fileName"], format!("{}{ending}", text(&key["id"])));
        let bytes = STANDARD.decode(text(&file["base64"])).expect("base64");
        assert!(bytes[..16].windows(mark.len()).any(|part| part == mark), "{:?}", &bytes[..16]);
        assert_eq!(file["size"]["fileLength"], bytes.len());
    }
    server.stop().await;
}
