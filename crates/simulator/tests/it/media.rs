//! Media hosts: upload, resumed upload, download, ranges, and links that have ended.

use serde_json::json;
use wacore::download::MediaType;
use wacore::types::events::Event;
use whatsapp_rust::download::DownloadParams;
use whatsapp_rust::upload::{UploadOptions, UploadResponse};

use crate::harness::{Sandbox, TestClient};

/// From here on clients ask how much of an upload has arrived already.
const RESUMABLE: usize = 6 * 1024 * 1024;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 31 % 251).unwrap_or(0)).collect()
}

async fn upload(
    client: &TestClient,
    bytes: &[u8],
) -> whatsapp_rust::anyhow::Result<UploadResponse> {
    client.client.upload(bytes.to_vec(), MediaType::Document, UploadOptions::new()).await
}

fn link(upload: &UploadResponse) -> DownloadParams {
    DownloadParams::encrypted(
        upload.direct_path.clone(),
        &upload.media_key,
        &upload.file_sha256,
        &upload.file_enc_sha256,
        upload.file_length,
        MediaType::Document,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_downloaded_by_another_client_and_in_ranges() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let original = bytes(100_000);
    let uploaded = upload(&ann, &original).await.expect("the upload succeeds");
    assert!(uploaded.direct_path.starts_with("/v/t62.7119-24/"));
    let received = bob.client.download(&link(&uploaded)).await.expect("the download succeeds");
    assert_eq!(received, original);
    let part = sandbox.http.get(&uploaded.url).header("range", "bytes=10-19");
    let part = part.send().await.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.expect("a body").len(), 10);
    let beyond = sandbox.http.get(&uploaded.url).header("range", "bytes=999999-");
    assert_eq!(beyond.send().await.expect("an answer").status(), 416);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upload_continues_where_it_ended_and_a_second_one_is_not_sent_again() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    sandbox.fault(json!({ "target": ann.phone, "fault": "media-cut", "count": 1 })).await;
    let original = bytes(RESUMABLE);
    // The second host of the client's list gets the rest.
    let uploaded = upload(&ann, &original).await.expect("the upload succeeds");
    let received = ann.client.download(&link(&uploaded)).await.expect("the download succeeds");
    assert_eq!(received, original);
    let options = UploadOptions::new().with_media_key(uploaded.media_key);
    let again = ann.client.upload(original, MediaType::Document, options).await;
    assert_eq!(again.expect("the upload succeeds").direct_path, uploaded.direct_path);
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_authorisation_is_renewed_by_the_client() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    upload(&ann, &bytes(1000)).await.expect("the upload succeeds");
    sandbox.fault(json!({ "target": ann.phone, "fault": "media-auth" })).await;
    let uploaded = upload(&ann, &bytes(2000)).await.expect("the second upload succeeds");
    let stats = sandbox.stats().await;
    assert_eq!(stats["iqs"]["w:m/set/media_conn"], 2);
    let refused = sandbox.http.post(format!("{}&auth=wrong", uploaded.url.replace("/v/", "/mms/")));
    assert_eq!(refused.send().await.expect("an answer").status(), 401);
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_have_their_hash_are_refused() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let connection = ann.client.refresh_media_conn(false).await.expect("a media connection");
    let url = format!(
        "https://{}/mms/image/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?auth={}",
        connection.hosts[0].hostname, connection.auth
    );
    let refused = sandbox.http.post(url).body("not that").send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_ended_stays_ended_for_everybody() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let uploaded = upload(&ann, &bytes(1000)).await.expect("the upload succeeds");
    sandbox.fault(json!({ "target": "*", "fault": "media-410", "count": 1 })).await;
    let error = ann.client.download(&link(&uploaded)).await.expect_err("the link has ended");
    assert!(error.to_string().contains("410"), "{error}");
    let renewed = upload(&ann, &bytes(1000)).await.expect("a new upload succeeds");
    ann.client.download(&link(&renewed)).await.expect("the new link works");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_after_two_weeks_of_the_networks_time() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let uploaded = upload(&ann, &bytes(1000)).await.expect("the upload succeeds");
    let days = |days: u64| json!({ "advance": days * 86_400 });
    assert_eq!(sandbox.post("/admin/clock", days(13)).await.0, 200);
    ann.client.download(&link(&uploaded)).await.expect("the link still works");
    assert_eq!(sandbox.post("/admin/clock", days(2)).await.0, 200);
    let error = ann.client.download(&link(&uploaded)).await.expect_err("the link has ended");
    assert!(error.to_string().contains("410"), "{error}");
    let renewed = upload(&ann, &bytes(1000)).await.expect("a new upload succeeds");
    ann.client.download(&link(&renewed)).await.expect("the new link works");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_gets_media_again_from_the_phone_when_the_link_has_ended() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let path = format!("/admin/contacts/{phone}/messages");
    let image = json!({ "to": ann.phone, "type": "image", "media": "aGVsbG8=" });
    assert_eq!(sandbox.post(&path, image).await.0, 201);
    let event = ann
        .wait("an image", |event| match event {
            Event::Messages(batch) => {
                batch.iter().any(|m| m.message.image_message.as_option().is_some())
            }
            _ => false,
        })
        .await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    let inbound = batch.iter().next().expect("matched above");
    let image = inbound.message.image_message.as_option().expect("an image");
    sandbox.fault(json!({ "target": "*", "fault": "media-410", "count": 1 })).await;
    ann.client.download(image).await.expect_err("the link has ended");
    let request = whatsapp_rust::features::MediaReuploadRequest {
        msg_id: &inbound.info.id,
        chat_jid: &inbound.info.source.chat,
        media_key: image.media_key.as_deref().expect("a key"),
        is_from_me: false,
        participant: None,
    };
    let answer = ann.client.media_reupload().request(&request).await.expect("an answer");
    let whatsapp_rust::features::MediaRetryResult::Success { direct_path } = answer else {
        panic!("the phone does not have it: {answer:?}");
    };
    let renewed = waproto::whatsapp::message::ImageMessage {
        direct_path: Some(direct_path),
        url: None,
        ..image.clone()
    };
    assert_eq!(ann.client.download(&renewed).await.expect("the new link works"), b"hello");
    ann.stop().await;
    sandbox.stop().await;
}
