//! The server's identities: its Noise static key with the certificate chain for it, and the
//! self-signed TLS certificate of the port.
//!
//! The leaf is really signed by the intermediate. The intermediate cannot be signed by WhatsApp's
//! root, whose key clients pin; that is why clients of the simulator skip exactly that check.

use std::sync::Arc;

use buffa::{Message, MessageField};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use wacore::libsignal::protocol::KeyPair;
use waproto::whatsapp::CertChain;
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};

use crate::keys;

const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;
const NOT_BEFORE: u64 = 1_700_000_000;
/// Wide enough that no test clock leaves the window (2023 to 2096).
const NOT_AFTER: u64 = 4_000_000_000;
/// A day after the window has begun.
const LONG_AGO: u64 = NOT_BEFORE + 86_400;

/// What the responder of the Noise handshake proves it is.
pub(crate) struct ServerIdentity {
    pub(crate) static_key: KeyPair,
    /// The encoded `CertChain` that goes, encrypted, into every server hello.
    pub(crate) chain: Vec<u8>,
    /// What a client of this network must pin in place of WhatsApp's root to verify the chain.
    pub(crate) root: [u8; 32],
}

impl ServerIdentity {
    /// The identity of the network with this seed, after so many changes of its key.
    pub(crate) fn derive(seed: u64, changes: u32) -> Self {
        Self::valid_until(seed, changes, NOT_AFTER)
    }

    /// The same with a chain that has ended.
    pub(crate) fn expired(seed: u64, changes: u32) -> Self {
        Self::valid_until(seed, changes, LONG_AGO)
    }

    fn valid_until(seed: u64, changes: u32, not_after: u64) -> Self {
        let name = if changes == 0 { "server".to_owned() } else { format!("server/{changes}") };
        let static_key = keys::key_pair(seed, "noise-static", &name);
        let intermediate_key = keys::key_pair(seed, "noise-intermediate", "server");
        let root_key = keys::key_pair(seed, "noise-root", "server");
        let intermediate = Details {
            serial: Some(INTERMEDIATE_SERIAL),
            issuer_serial: Some(0),
            key: Some(keys::public_bytes(&intermediate_key).to_vec()),
            not_before: Some(NOT_BEFORE),
            not_after: Some(not_after),
        };
        let leaf = Details {
            serial: Some(LEAF_SERIAL),
            issuer_serial: Some(INTERMEDIATE_SERIAL),
            key: Some(keys::public_bytes(&static_key).to_vec()),
            not_before: Some(NOT_BEFORE),
            not_after: Some(not_after),
        };
        let chain = CertChain {
            leaf: MessageField::some(certify(&leaf, &intermediate_key)),
            intermediate: MessageField::some(certify(&intermediate, &root_key)),
        };
        Self { static_key, chain: chain.encode_to_vec(), root: keys::public_bytes(&root_key) }
    }
}

fn certify(details: &Details, issuer: &KeyPair) -> NoiseCertificate {
    let details = details.encode_to_vec();
    let signature = keys::sign(issuer, &[&details]).to_vec();
    NoiseCertificate { details: Some(details), signature: Some(signature) }
}

/// TLS for the port, with a certificate made now.
pub(crate) fn tls_config() -> Result<Arc<ServerConfig>, TlsError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned);
    let certified = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why the port has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The self-signed certificate could not be made.
    #[error("making the TLS certificate failed: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls refused the certificate or the protocol versions.
    #[error("configuring TLS failed: {0}")]
    Config(#[from] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::libsignal::protocol::PublicKey;

    fn details(certificate: &NoiseCertificate, issuer: &[u8]) -> Details {
        let bytes = certificate.details.as_deref().expect("details");
        let signature = certificate.signature.as_deref().expect("a signature");
        let issuer = PublicKey::from_djb_public_key_bytes(issuer).expect("a key");
        assert!(issuer.verify_signature(bytes, signature));
        Details::decode_from_slice(bytes).expect("protobuf")
    }

    #[test]
    fn the_chain_leads_from_the_root_to_the_static_key() {
        let identity = ServerIdentity::derive(1, 0);
        let chain = CertChain::decode_from_slice(&identity.chain).expect("protobuf");
        let intermediate = details(&chain.intermediate, &identity.root);
        assert_eq!(intermediate.issuer_serial, Some(0));
        let leaf = details(&chain.leaf, intermediate.key.as_deref().expect("a key"));
        assert_eq!(leaf.issuer_serial, intermediate.serial);
        assert_eq!(leaf.key.as_deref(), Some(&keys::public_bytes(&identity.static_key)[..]));
    }
}
