//! Signal state of one phone: sessions with every device it writes to or hears from.
//!
//! It does not outlive a restart of the network: what the phone sends then opens a new session.

use std::collections::HashMap;

use async_trait::async_trait;
use rand::RngExt;
use wacore::libsignal::protocol::error::Result as SignalResult;
use wacore::libsignal::protocol::{
    CiphertextMessageType, Direction, GenericSignedPreKey, IdentityChange, IdentityKey,
    IdentityKeyPair, IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord,
    PreKeySignalMessage, PreKeyStore, ProtocolAddress, PublicKey, SessionRecord, SessionStore,
    SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
    Timestamp, UsePQRatchet, message_decrypt_prekey, message_decrypt_signal, message_encrypt,
    process_prekey_bundle,
};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::world::account::AccountKeys;

/// Signal plaintexts end in n bytes of value n, at most this many.
const LARGEST_PADDING: u8 = 16;

/// Signal state of one phone.
pub(crate) struct PhoneSessions {
    records: Records,
    identity: Identity,
    signed_prekey: SignedPrekey,
}

impl PhoneSessions {
    pub(crate) fn new(keys: &AccountKeys) -> Self {
        let key = IdentityKey::new(keys.identity.public_key);
        let pair = IdentityKeyPair::new(key, keys.identity.private_key.clone());
        let identity = Identity { pair, registration: keys.registration, known: HashMap::new() };
        let signed = keys.signed_key();
        let signed_prekey = SignedPrekey {
            id: signed.id,
            pair: keys.signed_prekey.clone(),
            signature: signed.signature,
        };
        Self { records: Records::default(), identity, signed_prekey }
    }

    pub(super) fn knows(&self, address: &ProtocolAddress) -> bool {
        self.records.0.contains_key(address)
    }

    /// Opens an `<enc>` of a device; gives the message in it.
    pub(super) async fn unseal(
        &mut self,
        address: &ProtocolAddress,
        enc: &Node,
    ) -> Result<wa::Message, UnsealError> {
        let bytes = crate::stanza::bytes_of(enc).ok_or(UnsealError::Malformed)?;
        let mut rng = rand::make_rng::<rand::rngs::StdRng>();
        let (records, identity) = (&mut self.records, &mut self.identity);
        let opened = if crate::stanza::has_attr(enc, "type", "pkmsg") {
            let sealed = PreKeySignalMessage::try_from(bytes)?;
            message_decrypt_prekey(
                &sealed,
                address,
                records,
                identity,
                &mut NoOneTimeKeys,
                &self.signed_prekey,
                &mut rng,
                UsePQRatchet::No,
            )
            .await?
        } else {
            let sealed = SignalMessage::try_from(bytes)?;
            message_decrypt_signal(&sealed, address, records, identity, &mut rng).await?
        };
        let plain = opened.plaintext;
        let padding = usize::from(*plain.last().ok_or(UnsealError::Malformed)?);
        let length = plain.len().checked_sub(padding).ok_or(UnsealError::Malformed)?;
        waproto::codec::message_decode(&plain[..length]).map_err(|_| UnsealError::Malformed)
    }

    pub(super) async fn open(
        &mut self,
        address: &ProtocolAddress,
        bundle: crate::iq::Bundle,
    ) -> Result<(), SignalProtocolError> {
        let key = |bytes: &[u8; 32]| PublicKey::from_djb_public_key_bytes(bytes);
        let one_time = match &bundle.one_time {
            Some(one_time) => Some((one_time.id.into(), key(&one_time.public)?)),
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration,
            address.device_id(),
            one_time,
            bundle.signed.id.into(),
            key(&bundle.signed.public)?,
            bundle.signed.signature.to_vec(),
            IdentityKey::new(key(&bundle.identity)?),
        )?;
        let (records, identity) = (&mut self.records, &mut self.identity);
        let mut rng = rand::make_rng::<rand::rngs::StdRng>();
        process_prekey_bundle(address, records, identity, &bundle, &mut rng, UsePQRatchet::No)
            .await?;
        Ok(())
    }

    pub(super) async fn seal(
        &mut self,
        address: &ProtocolAddress,
        message: &wa::Message,
    ) -> Result<Node, SignalProtocolError> {
        let mut plain = waproto::codec::message_to_vec(message);
        let padding = rand::rng().random_range(1..=LARGEST_PADDING);
        plain.extend(std::iter::repeat_n(padding, usize::from(padding)));
        let (records, identity) = (&mut self.records, &mut self.identity);
        let sealed = message_encrypt(&plain, address, records, identity).await?;
        let kind = match sealed.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        Ok(enc.bytes(sealed.serialize()).build())
    }
}

/// Why a message to a phone cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnsealError {
    #[error("{0}")]
    Signal(#[from] SignalProtocolError),
    #[error("what was encrypted is no message")]
    Malformed,
}

/// A phone's bundle has no one-time keys.
struct NoOneTimeKeys;

#[async_trait]
impl PreKeyStore for NoOneTimeKeys {
    async fn get_pre_key(&self, _id: PreKeyId) -> SignalResult<PreKeyRecord> {
        Err(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, _id: PreKeyId, _record: &PreKeyRecord) -> SignalResult<()> {
        Ok(())
    }

    async fn remove_pre_key(&mut self, _id: PreKeyId) -> SignalResult<()> {
        Ok(())
    }
}

/// The phone's only signed prekey.
struct SignedPrekey {
    id: u32,
    pair: KeyPair,
    signature: [u8; 64],
}

#[async_trait]
impl SignedPreKeyStore for SignedPrekey {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if u32::from(id) != self.id {
            return Err(SignalProtocolError::InvalidSignedPreKeyId);
        }
        let made = Timestamp::from_epoch_millis(0);
        Ok(SignedPreKeyRecord::new(id, made, &self.pair, &self.signature))
    }

    async fn save_signed_pre_key(
        &mut self,
        _id: SignedPreKeyId,
        _record: &SignedPreKeyRecord,
    ) -> SignalResult<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Records(HashMap<ProtocolAddress, SessionRecord>);

#[async_trait]
impl SessionStore for Records {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(address))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> SignalResult<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

struct Identity {
    pair: IdentityKeyPair,
    registration: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identity {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.pair.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let replaced = self.known.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(replaced.is_some_and(|old| old != *identity)))
    }

    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> SignalResult<bool> {
        // The network itself vouches for the identities it hands out.
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.known.get(address).copied())
    }
}
