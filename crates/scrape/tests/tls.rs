//! Sweeps over TLS: a given authority, the name that is checked, and no check at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

mod common;

use autoscaler_scrape::{Access, Ask, ScrapeError, Target, TlsOptions};
use common::{one, page, request, scraper};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority, in PEM, and a server at 127.0.0.1 with a certificate of it for `name`.
async fn server(name: &str) -> (String, Vec<u8>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem().into_bytes();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while request(&mut stream).await.is_some() {
                    let _ = stream.write_all(page("a 1\n").as_bytes()).await;
                }
            });
        }
    });
    (url, pem)
}

fn target(url: &str, tls: TlsOptions) -> Target {
    Target { id: "replica".to_owned(), url: url.to_owned(), access: Access { tls, ..Access::default() } }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_given_authority_and_by_no_other() {
    let (url, pem) = server("127.0.0.1").await;
    let (_, other) = server("127.0.0.1").await;
    let scraper = scraper(|_| {});
    let with = |pem: Vec<u8>| TlsOptions { ca_pem: Some(pem.into()), ..TlsOptions::default() };
    assert_eq!(one(&scraper, target(&url, with(pem))).await, Ok("a 1\n".to_owned()));
    for untrusted in [with(other), TlsOptions::default()] {
        let answer = one(&scraper, target(&url, untrusted)).await;
        assert!(matches!(answer, Err(ScrapeError::Tls(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_name_is_given() {
    let (url, pem) = server("engine.models.svc").await;
    let scraper = scraper(|_| {});
    let named = |name: Option<&str>| TlsOptions {
        ca_pem: Some(pem.clone().into()),
        server_name: name.map(str::to_owned),
        ..TlsOptions::default()
    };
    let wrong = [named(None), named(Some("other.models.svc"))];
    for tls in wrong {
        let answer = one(&scraper, target(&url, tls)).await;
        assert!(matches!(answer, Err(ScrapeError::Tls(_))), "{answer:?}");
    }
    assert_eq!(one(&scraper, target(&url, named(Some("engine.models.svc")))).await, Ok("a 1\n".to_owned()));
}

#[tokio::test]
async fn any_certificate_is_taken_where_that_is_asked_for() {
    let (url, _) = server("somewhere.else").await;
    let tls = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
    assert_eq!(one(&scraper(|_| {}), target(&url, tls)).await, Ok("a 1\n".to_owned()));
}

#[tokio::test]
async fn targets_with_different_trust_are_swept_together() {
    let (first, first_pem) = server("127.0.0.1").await;
    let (second, second_pem) = server("127.0.0.1").await;
    let with = |pem: &[u8]| TlsOptions { ca_pem: Some(pem.to_vec().into()), ..TlsOptions::default() };
    let targets = [
        target(&first, with(&first_pem)),
        target(&second, with(&second_pem)),
        target(&second, with(&first_pem)),
        target(&first, with(b"no certificate at all")),
    ];
    let answers = scraper(|_| {}).sweep(&targets).await;
    let good: Vec<bool> = answers.iter().map(|(_, answer)| answer.is_ok()).collect();
    assert_eq!(good, [true, true, false, false]);
}

#[tokio::test]
async fn a_question_is_verified_as_a_page_is() {
    let (url, pem) = server("127.0.0.1").await;
    let scraper = scraper(|_| {});
    let trusting = TlsOptions { ca_pem: Some(pem.into()), ..TlsOptions::default() };
    for (tls, expected) in [(trusting, true), (TlsOptions::default(), false)] {
        let access = Access { tls, ..Access::default() };
        let ask = Ask {
            url: &url,
            access: &access,
            form: None,
            deadline: std::time::Duration::from_secs(5),
            max_bytes: 1000,
        };
        let answer = scraper.ask(ask).await;
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        assert_eq!(matches!(answer, Err(ScrapeError::Tls(_))), !expected, "{answer:?}");
    }
}
