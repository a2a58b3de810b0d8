//! A link to media has ended: the phone, which has the file, uploads it again.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buffa::Message;
use rand::RngExt;
use wacore::crypto::hkdf_sha256;
use wacore::libsignal::crypto::{aes_256_gcm_decrypt, aes_256_gcm_encrypt};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};
use waproto::whatsapp::media_retry_notification::ResultType;
use waproto::whatsapp::{MediaRetryNotification, ServerErrorReceipt};

use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::stanza::{child, child_bytes, leaf, text_attr};
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

const KEY_INFO: &[u8] = b"WhatsApp Media Retry Notification";
/// Codes of a refusal.
const NOT_FOUND: u16 = 2;
const NOT_DECRYPTED: u16 = 3;

/// Answers a `server-error` receipt by a `mediaretry` notification to the device that asked.
pub(super) fn answer(hub: &Arc<Hub>, owner: &DeviceAddress, receipt: &Node) {
    let mut world = hub.world();
    let id = text_attr(receipt, "id");
    let outcome = upload_again(&mut world, owner, receipt, &id);
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    let mut content = vec![match outcome {
        Ok(encrypted) => encrypted,
        Err(code) => NodeBuilder::new("error").attr("code", code).build(),
    }];
    content.extend(child(receipt, "rmr").cloned());
    let stanza = NodeBuilder::new("notification")
        .attr("from", account.user_jid(Server::Pn))
        .attr("type", "mediaretry")
        .attr("id", id)
        .attr("t", unix_seconds())
        .children(content)
        .build();
    world.deliver(owner, Class::Notification, stanza);
}

fn upload_again(
    world: &mut World,
    owner: &DeviceAddress,
    receipt: &Node,
    id: &str,
) -> Result<Node, u16> {
    let account = world.accounts.get(&owner.phone).ok_or(NOT_FOUND)?;
    let file = account.mail.file(id).ok_or(NOT_FOUND)?;
    let key = retry_key(&file.media_key).ok_or(NOT_DECRYPTED)?;
    if !is_genuine(&key, id, receipt) {
        return Err(NOT_DECRYPTED);
    }
    let token = URL_SAFE_NO_PAD.encode(&file.file_enc_sha256);
    let bytes = world.media.original(&token).ok_or(NOT_FOUND)?;
    let kind = file.media_type.upload_path().rsplit('/').next().unwrap_or_default();
    let direct_path = world.media.store(&token, kind, &owner.phone, bytes);
    let notification = MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(direct_path),
        result: Some(ResultType::SUCCESS),
        ..MediaRetryNotification::default()
    };
    let iv: [u8; 12] = rand::rng().random();
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), &notification.encode_to_vec(), &mut sealed)
        .map_err(|_| NOT_DECRYPTED)?;
    Ok(NodeBuilder::new("encrypt").children([leaf("enc_p", sealed), leaf("enc_iv", iv)]).build())
}

fn retry_key(media_key: &[u8]) -> Option<[u8; 32]> {
    hkdf_sha256(media_key, 32, None, KEY_INFO).ok()?.try_into().ok()
}

/// Whether who asks has the file's key: it encrypted the message's id with it.
fn is_genuine(key: &[u8; 32], id: &str, receipt: &Node) -> bool {
    let Some(encrypt) = child(receipt, "encrypt") else { return false };
    let (Some(sealed), Some(iv)) = (child_bytes(encrypt, "enc_p"), child_bytes(encrypt, "enc_iv"))
    else {
        return false;
    };
    let Ok(iv) = <[u8; 12]>::try_from(iv) else { return false };
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(key, &iv, id.as_bytes(), sealed, &mut plain).is_ok()
        && ServerErrorReceipt::decode_from_slice(&plain)
            .is_ok_and(|named| named.stanza_id.as_deref() == Some(id))
}
