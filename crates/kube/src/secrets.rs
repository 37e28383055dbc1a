//! Credentials and trust of a source, from Secrets of the object's namespace. Must not log what it reads.

use crate::said::said;
use autoscaler_api::v1alpha1::{SecretKeyRef, Tls};
use autoscaler_scrape::{Access, Auth, MAX_SECRET_BYTES, Secret, TlsOptions};
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{Api, Client};
use std::time::Duration;

/// Reading a Secret takes no longer.
const DEADLINE: Duration = Duration::from_secs(2);

/// The credentials that a source names; the error says which Secret lacks what.
pub(crate) async fn access(
    client: &Client,
    namespace: &str,
    tls: Option<&Tls>,
    secret: Option<&SecretKeyRef>,
) -> Result<Access, String> {
    let mut access = Access::default();
    if let Some(tls) = tls {
        access.tls = TlsOptions {
            ca_pem: match (&tls.ca_secret_ref, &tls.ca_file) {
                (Some(from), _) => Some(value(client, namespace, from, "ca.crt").await?.into()),
                (None, Some(path)) => Some(file(path).await?.into()),
                (None, None) => None,
            },
            insecure_skip_verify: tls.insecure_skip_verify.unwrap_or(false),
            server_name: tls.server_name.clone(),
        };
    }
    if let Some(from) = secret {
        let bytes = value(client, namespace, from, "token").await?;
        let text = String::from_utf8(bytes).map_err(|_| format!("Secret {}: is no text", from.name))?;
        access.auth = Auth::Bearer(Secret::text(text.trim()));
    }
    Ok(access)
}

async fn value(client: &Client, namespace: &str, from: &SecretKeyRef, default: &str) -> Result<Vec<u8>, String> {
    let (name, key) = (&from.name, from.key.as_deref().unwrap_or(default));
    let api: Api<KubeSecret> = Api::namespaced(client.clone(), namespace);
    let secret = tokio::time::timeout(DEADLINE, api.get_opt(name))
        .await
        .map_err(|_| format!("Secret {name}: was not read in time"))?
        .map_err(|error| format!("Secret {name}: {}", said(&error)))?
        .ok_or_else(|| format!("Secret {name}: is not in namespace {namespace}"))?;
    let bytes = secret.data.unwrap_or_default().remove(key).map(|bytes| bytes.0);
    let bytes = bytes.ok_or_else(|| format!("Secret {name}: has no key {key:?}"))?;
    if bytes.is_empty() || bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("Secret {name}: {key:?} has {} bytes (allowed: 1 to {MAX_SECRET_BYTES})", bytes.len()));
    }
    Ok(bytes)
}

async fn file(path: &str) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("tls.caFile {path}: {error}"))
}
