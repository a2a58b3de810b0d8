//! TLS that ends here, with a certificate and a key from files.
//!
//! The files are looked at again when they change, so that a renewed certificate needs no restart. What can't
//! be read then leaves the one before in use.

use crate::config::TlsFiles;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Why TLS can't be had from the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or is no PEM of what it should be.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Key and certificate do not fit.
    #[error("the certificate and its key do not fit: {0}")]
    Pair(rustls::Error),
}

/// Takes connections. Clones share the certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    files: TlsFiles,
    now: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let now = Arc::new(RwLock::new(Arc::new(read(files)?)));
        Ok(Self { files: files.clone(), now })
    }

    /// The handshake.
    pub(crate) async fn greet(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Follows the files until the server stops.
    pub(crate) async fn watch(self, stopping: CancellationToken) {
        let mut seen = self.changed_at();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = looks.tick() => {}
            }
            let found = self.changed_at();
            if found == seen {
                continue;
            }
            match read(&self.files) {
                Ok(config) => {
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    seen = found;
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => tracing::warn!(%error, "the TLS certificate is not renewed"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let at = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
        [at(&self.files.cert), at(&self.files.key)]
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let failed =
        |path: &Path, why: String| TlsError::File { path: path.display().to_string(), why };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&files.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&files.cert, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed(&files.key, error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
