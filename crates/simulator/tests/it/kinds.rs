//! Kinds of messages: what a contact writes reaches a client, what a client writes a contact.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wacore::types::events::{Event, InboundMessage};
use wacore::types::message::MessageCategory;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use crate::harness::{Sandbox, TestClient};

async fn next(client: &mut TestClient) -> InboundMessage {
    let is_one = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().any(|m| m.info.category != MessageCategory::Peer),
        _ => false,
    };
    let event = client.wait("a message", is_one).await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    batch.iter().find(|m| m.info.category != MessageCategory::Peer).expect("matched above").clone()
}

struct Pair {
    sandbox: Sandbox,
    ann: TestClient,
    contact: String,
}

impl Pair {
    async fn start() -> Self {
        let sandbox = Sandbox::start().await;
        let ann = sandbox.linked("Ann").await;
        let contact = sandbox.contact("Carl").await;
        Self { sandbox, ann, contact }
    }

    async fn write(&self, mut body: Value) -> String {
        body["to"] = json!(self.ann.phone);
        let path = format!("/admin/contacts/{}/messages", self.contact);
        let (status, answer) = self.sandbox.post(&path, body).await;
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// What the contact received after a message.
    async fn received(&self, after: &str) -> Value {
        let path = format!("/admin/contacts/{}/messages?wait=15&after={after}", self.contact);
        let received = self.sandbox.get(&path).await;
        received["messages"][0].clone()
    }

    async fn stop(self) {
        self.ann.stop().await;
        self.sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_sends_every_kind_of_media() {
    let mut pair = Pair::start().await;
    for kind in ["image", "video", "audio", "document", "sticker"] {
        let file = format!("bytes of a {kind}");
        let body = json!({
            "type": kind, "media": STANDARD.encode(&file), "caption": "look", "fileName": "f.pdf",
        });
        let id = pair.write(body).await;
        let inbound = next(&mut pair.ann).await;
        assert_eq!(inbound.info.id, id);
        let message = &inbound.message;
        let client = &pair.ann.client;
        let opened = match kind {
            "image" => client.download(message.image_message.as_option().expect(kind)).await,
            "video" => client.download(message.video_message.as_option().expect(kind)).await,
            "audio" => client.download(message.audio_message.as_option().expect(kind)).await,
            "document" => client.download(message.document_message.as_option().expect(kind)).await,
            _ => client.download(message.sticker_message.as_option().expect(kind)).await,
        };
        assert_eq!(opened.expect("the download succeeds"), file.as_bytes());
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_note_is_real_opus_with_a_waveform() {
    let mut pair = Pair::start().await;
    pair.write(json!({ "voice": { "text": "good morning", "seconds": 1.0 } })).await;
    let inbound = next(&mut pair.ann).await;
    let audio = inbound.message.audio_message.as_option().expect("audio");
    assert_eq!(audio.ptt, Some(true));
    assert_eq!(audio.seconds, Some(1));
    assert_eq!(audio.mimetype.as_deref(), Some("audio/ogg; codecs=opus"));
    assert_eq!(audio.waveform.as_ref().map(Vec::len), Some(64));
    let ogg = pair.ann.client.download(audio).await.expect("the download succeeds");
    assert!(ogg.starts_with(b"OggS"));
    let holds = |text: &[u8]| ogg.windows(text.len()).any(|window| window == text);
    assert!(holds(b"TRANSCRIPT=good morning"));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_reacts_edits_deletes_and_shares() {
    let mut pair = Pair::start().await;
    let mine = pair.ann.send(&pair.contact, "question").await;
    assert_eq!(pair.received("").await["text"], "question");
    pair.write(json!({ "reaction": { "id": mine, "emoji": "👍" } })).await;
    let inbound = next(&mut pair.ann).await;
    let reaction = inbound.message.reaction_message.as_option().expect("a reaction");
    assert_eq!(reaction.text.as_deref(), Some("👍"));
    let key = reaction.key.as_option().expect("a key");
    assert_eq!(key.id.as_deref(), Some(mine.as_str()));
    let theirs = pair.write(json!({ "text": "anser", "quote": mine })).await;
    let inbound = next(&mut pair.ann).await;
    let text = inbound.message.extended_text_message.as_option().expect("a text");
    let context = text.context_info.as_option().expect("a quote");
    assert_eq!(context.stanza_id.as_deref(), Some(mine.as_str()));
    pair.write(json!({ "edit": { "id": theirs, "text": "answer" } })).await;
    next(&mut pair.ann).await;
    pair.write(json!({ "delete": { "id": theirs } })).await;
    let inbound = next(&mut pair.ann).await;
    let protocol = inbound.message.protocol_message.as_option().expect("a protocol message");
    assert_eq!(protocol.key.as_option().and_then(|key| key.id.clone()), Some(theirs));
    pair.write(json!({ "location": { "latitude": 52.5, "longitude": 13.4, "name": "Berlin" } }))
        .await;
    let inbound = next(&mut pair.ann).await;
    let location = inbound.message.location_message.as_option().expect("a location");
    assert_eq!(location.name.as_deref(), Some("Berlin"));
    pair.write(json!({ "contact": { "name": "Dora", "phone": "+49 30 1234567" } })).await;
    let inbound = next(&mut pair.ann).await;
    let card = inbound.message.contact_message.as_option().expect("a card");
    assert!(card.vcard.as_deref().unwrap_or_default().contains("waid=49301234567"));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_shows_what_a_client_sent_with_all_its_fields() {
    let mut pair = Pair::start().await;
    let to = Jid::pn(pair.contact.as_str());
    let text = pair.ann.send(&pair.contact, "first").await;
    assert_eq!(pair.received("").await["type"], "text");
    let client = pair.ann.client.clone();
    let upload = client
        .upload(
            b"a picture".to_vec(),
            wacore::download::MediaType::Image,
            whatsapp_rust::UploadOptions::new(),
        )
        .await
        .expect("the upload succeeds");
    let image = wa::message::ImageMessage {
        url: Some(upload.url),
        direct_path: Some(upload.direct_path),
        media_key: Some(upload.media_key.to_vec()),
        file_sha256: Some(upload.file_sha256.to_vec()),
        file_enc_sha256: Some(upload.file_enc_sha256.to_vec()),
        file_length: Some(upload.file_length),
        mimetype: Some("image/png".to_owned()),
        caption: Some("see".to_owned()),
        ..wa::message::ImageMessage::default()
    };
    let message =
        wa::Message { image_message: buffa::MessageField::some(image), ..wa::Message::default() };
    let sent = client.send_message(to.clone(), message).await.expect("the send succeeds");
    let shown = pair.received(&text).await;
    assert_eq!(shown["type"], "image");
    assert_eq!(shown["caption"], "see");
    assert_eq!(shown["mimetype"], "image/png");
    assert_eq!(shown["media"], json!(STANDARD.encode("a picture")));
    let edited =
        wa::Message { conversation: Some("first, corrected".to_owned()), ..wa::Message::default() };
    client.edit_message(to.clone(), &text, edited).await.expect("the edit succeeds");
    let shown = pair.received(&sent.message_id).await;
    assert_eq!(shown["edit"], json!({ "id": text, "text": "first, corrected" }));
    let last = shown["id"].as_str().expect("an id").to_owned();
    client
        .revoke_message(to.clone(), &sent.message_id, whatsapp_rust::RevokeType::Sender)
        .await
        .expect("the revoke succeeds");
    assert_eq!(pair.received(&last).await["delete"]["id"], json!(sent.message_id));
    let all = pair.received("").await;
    assert_eq!(all["edited"], true);
    assert_eq!(all["text"], "first, corrected");
    pair.ann.skip_past();
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_votes_open_on_both_sides() {
    let mut pair = Pair::start().await;
    let options = ["tea".to_owned(), "coffee".to_owned()];
    let theirs = pair.write(json!({ "poll": { "name": "Drink?", "options": options } })).await;
    let inbound = next(&mut pair.ann).await;
    let context = inbound.message.message_context_info.as_option().expect("a secret");
    let secret = context.message_secret.clone().expect("a secret");
    let chat = inbound.info.source.chat.clone();
    let creator = inbound.info.source.sender.to_non_ad();
    let client = pair.ann.client.clone();
    client
        .polls()
        .vote(chat.clone(), &theirs, &creator, &secret, &options[..1])
        .await
        .expect("the vote succeeds");
    let vote = pair.received("").await;
    assert_eq!(vote["vote"], json!({ "id": theirs, "options": ["tea"] }));
    let to = Jid::pn(pair.contact.as_str());
    let (sent, secret) =
        client.polls().create(to, "Cake?", &options, 1).await.expect("the poll is sent");
    let last = vote["id"].as_str().expect("an id").to_owned();
    assert_eq!(pair.received(&last).await["poll"]["name"], "Cake?");
    pair.write(json!({ "vote": { "id": sent.message_id, "options": ["coffee"] } })).await;
    let inbound = next(&mut pair.ann).await;
    let update = inbound.message.poll_update_message.as_option().expect("a vote");
    let vote = update.vote.as_option().expect("a payload");
    let ciphertext = whatsapp_rust::features::PollVoteCiphertext {
        enc_payload: vote.enc_payload.as_deref().expect("a payload"),
        enc_iv: vote.enc_iv.as_deref().expect("an iv"),
    };
    let own = client.pn().expect("linked");
    let hashes = client
        .polls()
        .decrypt_vote(ciphertext, &secret, &sent.message_id, &own, &inbound.info.source.sender)
        .await
        .expect("the vote opens");
    assert_eq!(hashes, [wacore::poll::compute_option_hash("coffee").to_vec()]);
    pair.stop().await;
}
