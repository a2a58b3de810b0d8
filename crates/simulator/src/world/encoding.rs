//! How bytes and stanzas are written into the state file.

/// Bytes as base64.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer, B: AsRef<[u8]>>(
        bytes: &B,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: TryFrom<Vec<u8>>>(
        deserializer: D,
    ) -> Result<B, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        B::try_from(bytes).map_err(|_| D::Error::custom("bytes of the wrong length"))
    }
}

/// A stanza as the base64 of its binary XML.
pub(crate) mod base64_stanza {
    use serde::{Deserializer, Serializer, de::Error as _, ser::Error as _};
    use wacore_binary::{Node, OwnedNodeRef, marshal_auto};

    use super::base64_bytes;

    pub(crate) fn serialize<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
        // The codec writes a leading flag byte that it does not read back.
        let bytes = marshal_auto(node).map_err(S::Error::custom)?;
        base64_bytes::serialize(&bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Node, D::Error> {
        let bytes: Vec<u8> = base64_bytes::deserialize(deserializer)?;
        let body = bytes.get(1..).unwrap_or_default().to_vec();
        OwnedNodeRef::new(body).map(|node| node.to_owned_node()).map_err(D::Error::custom)
    }
}
