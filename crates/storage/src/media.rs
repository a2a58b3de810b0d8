//! What is known of the file of a message, without having it: lists show it, and whoever asks for the file is
//! told its type and name.

use crate::Store;
use crate::dialect::{Query, query};
use crate::error::StorageError;
use crate::messages::StoredMessage;
use crate::row::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::id::MessageRowId;
use serde_json::Value;

const TABLE: &str = "media";

/// The kinds of messages that carry a file, by the names of their fields.
const KINDS: [&str; 6] = [
    "imageMessage",
    "videoMessage",
    "ptvMessage",
    "audioMessage",
    "documentMessage",
    "stickerMessage",
];

/// The file of a message, as its sender described it: nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// The kind of message.
    pub kind: String,
    /// Its type.
    pub mimetype: Option<String>,
    /// Its name, which only documents have.
    pub file_name: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<i64>,
    /// The SHA-256 of the file.
    pub sha256: Option<Vec<u8>>,
    /// How long it plays.
    pub seconds: Option<i64>,
    /// How wide it is, in pixels.
    pub width: Option<i64>,
    /// How high it is, in pixels.
    pub height: Option<i64>,
}

impl Media {
    /// What a message says of its file; `None` when it has none.
    #[must_use]
    pub fn of(message: &StoredMessage) -> Option<Self> {
        let kind = *KINDS.iter().find(|kind| **kind == message.kind)?;
        let said = message.content.get(kind)?;
        let text = |field: &str| said.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| match said.get(field)? {
            Value::String(digits) => digits.parse().ok(),
            value => value.as_i64(),
        };
        Some(Self {
            kind: kind.to_owned(),
            mimetype: text("mimetype"),
            file_name: text("fileName"),
            bytes: number("fileLength"),
            sha256: text("fileSha256").and_then(|hash| STANDARD.decode(hash).ok()),
            seconds: number("seconds"),
            width: number("width"),
            height: number("height"),
        })
    }
}

impl Store {
    /// The file of a message; `None` when it has none.
    pub async fn media(&self, message: MessageRowId) -> Result<Option<Media>, StorageError> {
        let row = query(
            "SELECT message_id AS id, kind, mimetype, file_name, bytes, sha256, seconds, width, \
             height FROM media WHERE message_id = $1",
        )
        .bind(message.text())
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| read_media(&Record::new(TABLE, &row))).transpose()
    }
}

/// Stores what a message says of its file.
pub(crate) fn insertion(message: &StoredMessage) -> Option<Query> {
    let media = Media::of(message)?;
    let statement = query(
        "INSERT INTO media (message_id, kind, mimetype, file_name, bytes, sha256, seconds, width, \
         height) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    Some(
        statement
            .bind(message.row_id.text())
            .bind(media.kind)
            .bind(media.mimetype)
            .bind(media.file_name)
            .bind(media.bytes)
            .bind(media.sha256)
            .bind(media.seconds)
            .bind(media.width)
            .bind(media.height),
    )
}

fn read_media(record: &Record<'_>) -> Result<Media, StorageError> {
    Ok(Media {
        kind: record.get("kind")?,
        mimetype: record.get("mimetype")?,
        file_name: record.get("file_name")?,
        bytes: record.get("bytes")?,
        sha256: record.get("sha256")?,
        seconds: record.get("seconds")?,
        width: record.get("width")?,
        height: record.get("height")?,
    })
}
