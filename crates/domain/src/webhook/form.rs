//! How an endpoint wants what does not fit JSON by itself: files, bytes and numbers of 64 bits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What an endpoint gets of the file of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileForm {
    /// Only what the message says of it.
    #[default]
    None,
    /// `mediaUrl` in the message: where our API gives it to who has a key.
    Link,
    /// `base64` in the message: the file itself.
    Base64,
}

impl FileForm {
    /// The word of APIs and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Link => "link",
            Self::Base64 => "base64",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Link, Self::Base64].into_iter().find(|form| form.as_str() == word)
    }
}

/// How bytes and numbers of 64 bits are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BytesForm {
    /// Bytes as base64, numbers as numbers.
    #[default]
    Base64,
    /// As Evolution API 2.3.7 writes them: `{"0":17,"1":255}` and `{"low":1,"high":0,"unsigned":true}`.
    Objects,
}

impl BytesForm {
    /// The word of APIs and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Objects => "objects",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Base64, Self::Objects].into_iter().find(|form| form.as_str() == word)
    }

    /// Writes the particulars of an event or a list of records in this form; they come as base64 and numbers.
    pub fn write(self, data: &mut Value) {
        if self == Self::Base64 {
            return;
        }
        if let Value::Array(records) = data {
            return records.iter_mut().for_each(|record| self.write(record));
        }
        for subtree in ["message", "contextInfo", "editedMessage"] {
            if let Some(value) = data.get_mut(subtree) {
                as_objects(value);
            }
        }
    }
}

/// WhatsApp's fields of bytes in what people send each other (its protobuf, `Message` and what it holds).
const BYTES: [&str; 40] = [
    "artworkEncSha256",
    "artworkMediaKey",
    "artworkSha256",
    "attachmentFileEncSha256",
    "attachmentFileSha256",
    "attachmentJpegThumbnail",
    "attachmentMediaKey",
    "axolotlSenderKeyDistributionMessage",
    "botMessageSecret",
    "callKey",
    "conversionData",
    "ctwaPayload",
    "encIv",
    "encKey",
    "encPayload",
    "fileEncSha256",
    "fileSha256",
    "firstFrameSidecar",
    "firstScanSidecar",
    "inviteLinkParentGroupThumbnailV2",
    "jpegThumbnail",
    "mediaKey",
    "messageSecret",
    "midQualityFileEncSha256",
    "midQualityFileSha256",
    "opaqueClientData",
    "paddingBytes",
    "pngThumbnail",
    "recipientKeyHash",
    "scansSidecar",
    "senderKeyHash",
    "signature",
    "streamingSidecar",
    "teeBotMetadata",
    "thumbData",
    "thumbnail",
    "thumbnailEncSha256",
    "thumbnailSha256",
    "waveform",
    "webMessageInfoBytes",
];

/// And those of 64 bits.
const LONGS: [&str; 24] = [
    "amount1000",
    "attachmentMediaKeyTimestamp",
    "createdTimestampMs",
    "endTime",
    "ephemeralSettingTimestamp",
    "expirationTimestamp",
    "expiryTimestamp",
    "fileLength",
    "inviteExpiration",
    "mediaKeyTimestamp",
    "mediaKeyTimestampMs",
    "musicSongStartTimeInMs",
    "priceAmount1000",
    "recipientTimestamp",
    "salePriceAmount1000",
    "senderNotificationTimestampMs",
    "senderTimestamp",
    "senderTimestampMs",
    "sequenceNumber",
    "startTime",
    "stickerSentTs",
    "timestamp",
    "timestampMs",
    "totalAmount1000",
];

fn as_objects(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| field(name, value)),
        Value::Array(items) => items.iter_mut().for_each(as_objects),
        _ => {}
    }
}

fn field(name: &str, value: &mut Value) {
    match value {
        Value::String(text) if BYTES.binary_search(&name).is_ok() => {
            if let Ok(bytes) = STANDARD.decode(&*text) {
                *value = bytes_object(&bytes);
            }
        }
        Value::Number(number) if LONGS.binary_search(&name).is_ok() => {
            let unsigned = number.is_u64();
            let bits = number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned));
            if let Some(bits) = bits {
                *value = long_object(bits, unsigned);
            }
        }
        other => as_objects(other),
    }
}

fn bytes_object(bytes: &[u8]) -> Value {
    let fields: Map<String, Value> =
        bytes.iter().enumerate().map(|(at, byte)| (at.to_string(), json!(byte))).collect();
    Value::Object(fields)
}

/// Both halves are signed, as JavaScript's integers are.
fn long_object(bits: u64, unsigned: bool) -> Value {
    let half = |part: u64| u32::try_from(part & 0xFFFF_FFFF).unwrap_or_default().cast_signed();
    json!({ "low": half(bits), "high": half(bits >> 32), "unsigned": unsigned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(BYTES.is_sorted() && LONGS.is_sorted());
    }

    #[test]
    fn bytes_and_long_numbers_become_objects_wherever_a_message_has_them() {
        let mut data = json!({
            "key": { "id": "A" },
            "messageTimestamp": 1_767_603_600,
            "message": { "imageMessage": {
                "caption": "thumbnail", "fileSha256": "EQD/", "fileLength": 4_294_967_297_u64,
                "contextInfo": { "quotedMessage": { "audioMessage": { "waveform": "AQ==" } } },
            }},
        });
        BytesForm::Objects.write(&mut data);
        let image = &data["message"]["imageMessage"];
        assert_eq!(image["fileSha256"], json!({ "0": 17, "1": 0, "2": 255 }));
        assert_eq!(image["fileLength"], json!({ "low": 1, "high": 1, "unsigned": true }));
        let quoted = &image["contextInfo"]["quotedMessage"]["audioMessage"];
        assert_eq!(quoted["waveform"], json!({ "0": 1 }));
        assert_eq!(
            (&image["caption"], &data["messageTimestamp"]),
            (&json!("thumbnail"), &json!(1_767_603_600))
        );
        let mut list = json!([{ "editedMessage": { "imageMessage": { "fileSha256": "EQ==" } } }]);
        BytesForm::Objects.write(&mut list);
        assert_eq!(list[0]["editedMessage"]["imageMessage"]["fileSha256"], json!({ "0": 17 }));
        let before = data.clone();
        BytesForm::Base64.write(&mut data);
        assert_eq!(data, before);
    }
}
