//! The certificate and key, read again when the files have changed: certificates in a cluster last weeks.

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A certificate and its key, as files.
pub(super) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    config: Arc<ServerConfig>,
    changed: Option<(SystemTime, SystemTime)>,
}

impl Certificate {
    /// Reads both.
    pub(super) fn load(chain: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let changed = times(&chain, &key);
        let config = read(&chain, &key)?;
        Ok(Self { chain, key, config, changed })
    }

    /// What connections use from now on. Files that cannot be read, or do not fit, as while they are replaced, change nothing.
    pub(super) fn current(&mut self) -> Arc<ServerConfig> {
        let times = times(&self.chain, &self.key);
        if times != self.changed {
            match read(&self.chain, &self.key) {
                Ok(config) => {
                    tracing::info!("the webhook's certificate was read again");
                    self.config = config;
                    self.changed = times;
                }
                Err(error) => tracing::warn!("the webhook's certificate stays as it was: {error:#}"),
            }
        }
        Arc::clone(&self.config)
    }
}

fn times(certificate: &PathBuf, key: &PathBuf) -> Option<(SystemTime, SystemTime)> {
    let of = |path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    Some((of(certificate)?, of(key)?))
}

fn read(certificate: &PathBuf, key: &PathBuf) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{}: not a certificate in PEM", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| format!("{}: not a key in PEM", key.display()))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("{} and {}", certificate.display(), key.display()))?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Writes a certificate and its key as of so many seconds.
    fn write(folder: &std::path::Path, seconds: u64, key: Option<&str>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let own = made.signing_key.serialize_pem();
        for (name, text) in [("tls.crt", made.cert.pem().as_str()), ("tls.key", key.unwrap_or(&own))] {
            std::fs::write(folder.join(name), text).unwrap();
            let file = std::fs::File::options().append(true).open(folder.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        assert!(Certificate::load(path("tls.crt"), path("tls.key")).is_err());
        write(folder.path(), 1, None);
        let mut certificate = Certificate::load(path("tls.crt"), path("tls.key")).unwrap();
        let first = certificate.current();
        assert!(Arc::ptr_eq(&first, &certificate.current()));
        write(folder.path(), 2, Some("half a ke"));
        assert!(Arc::ptr_eq(&first, &certificate.current()));
        write(folder.path(), 3, None);
        assert!(!Arc::ptr_eq(&first, &certificate.current()));
    }
}
