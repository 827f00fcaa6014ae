//! Whom to believe: the certificates that servers of encrypted DNS are checked against.

use hickory_resolver::TlsConfig;
use hickory_resolver::net::NetError;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// After how long the trust store is read again: certificates are added and withdrawn while the service runs.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// The trust store of this machine, read when it is first needed.
#[derive(Debug)]
pub(crate) struct Trust {
    /// A PEM file with certificates that are trusted besides the machine's.
    more: Option<PathBuf>,
    read: Mutex<Option<(Instant, ClientConfig)>>,
}

impl Trust {
    pub(crate) fn new(more: Option<PathBuf>) -> Self {
        Self { more, read: Mutex::default() }
    }

    /// A configuration that asks servers to prove their names. Certificates come from where the distribution keeps
    /// them, or from what SSL_CERT_FILE and SSL_CERT_DIR name.
    ///
    /// # Errors
    /// TLS cannot be set up at all.
    pub(crate) async fn verifying(&self) -> Result<ClientConfig, NetError> {
        let mut read = self.read.lock().await;
        if let Some((at, config)) = read.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            tracing::trace!(age = ?at.elapsed(), "trust store at hand");
            return Ok(config.clone());
        }
        let more = self.more.clone();
        let roots =
            tokio::task::spawn_blocking(move || roots(more.as_deref())).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the trust store could not be read");
                RootCertStore::empty()
            });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        *read = Some((Instant::now(), config.clone()));
        Ok(config)
    }

    /// A configuration that takes whoever answers (RFC 7858 4.1).
    ///
    /// # Errors
    /// TLS cannot be set up at all.
    pub(super) fn taking_anybody() -> Result<ClientConfig, NetError> {
        let mut tls = TlsConfig::new()?;
        tls.insecure_skip_verify();
        Ok(tls.config)
    }
}

fn roots(more: Option<&Path>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    for error in machine.errors {
        tracing::warn!(%error, "trusted certificates not read");
    }
    roots.add_parsable_certificates(machine.certs);
    if let Some(path) = more {
        match CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
            Err(error) => tracing::error!(path = %path.display(), %error, "trusted certificates not read"),
        }
    }
    if roots.is_empty() {
        tracing::warn!(
            "no certificate is trusted, so no server of encrypted DNS is: install the package ca-certificates"
        );
    }
    roots
}
