//! The control plane: processes of our own, of the folder `KUBEBUILDER_ASSETS`; else the cluster that `KUBECONFIG` names; else
//! processes of the folder that `scripts/kube/build` makes.

use super::GUARD;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running control plane; its processes end with it.
pub(crate) struct Plane {
    folder: TempDir,
    assets: PathBuf,
    ca: String,
    port: u16,
    etcd_port: u16,
    etcd: Process,
    apiserver: Option<Process>,
    manager: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who has all rights.
pub(crate) const ADMIN: &str = "admin";
/// Who has none until a binding names it (`User plain`).
pub(crate) const PLAIN: &str = "plain";

/// The folder of the binaries, where there is one.
fn assets() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")));
    let given = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folder = given.or_else(|| Some(cache()?.join("aibrix-autoscaler/kube")))?;
    folder.join("kube-apiserver").is_file().then_some(folder)
}

/// Whether tests are to use a cluster that is there already.
fn cluster_given() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("KUBEBUILDER_ASSETS") && set("KUBECONFIG")
}

/// Says that a test is skipped. Not by a macro: what tests print by one is shown of failed tests only.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// What tests run against.
pub(crate) enum World {
    /// Processes of our own.
    Own(Box<Plane>),
    /// A cluster that is there already.
    Given(Box<kube::Config>),
}

impl World {
    /// Finds or starts one; none where there is none, which is said loudly.
    pub(crate) async fn find() -> Option<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        if cluster_given() {
            let options = KubeConfigOptions::default();
            return Some(Self::Given(Box::new(kube::Config::from_kubeconfig(&options).await.unwrap())));
        }
        Plane::start().await.map(|plane| Self::Own(Box::new(plane)))
    }

    /// What a client of a user is made of.
    pub(crate) async fn config_of(&self, user: &str) -> kube::Config {
        match self {
            Self::Own(plane) => plane.config_of(user).await,
            Self::Given(config) => {
                let mut config = config.as_ref().clone();
                if user != ADMIN {
                    config.auth_info.impersonate = Some(user.to_owned());
                }
                config
            }
        }
    }

    /// The processes; none, which is said, where they are not ours to stop.
    pub(crate) fn own(&mut self) -> Option<&mut Plane> {
        match self {
            Self::Own(plane) => Some(plane),
            Self::Given(_) => {
                skipped("this test changes the whole control plane, and that of KUBECONFIG is not its own");
                None
            }
        }
    }
}

impl Plane {
    async fn start() -> Option<Self> {
        let Some(assets) = assets() else {
            skipped("no control plane here; `scripts/kube/build` builds one, or set KUBEBUILDER_ASSETS or KUBECONFIG");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let ca = certificates(folder.path());
        let tokens = format!("{ADMIN},{ADMIN},1,\"system:masters\"\n{PLAIN},{PLAIN},2,\"test\"\n");
        std::fs::write(folder.path().join("tokens.csv"), tokens).unwrap();
        let (port, etcd_port, peer) = (free_port(), free_port(), free_port());
        let etcd_program = Some(assets.join("etcd")).filter(|path| path.is_file()).unwrap_or_else(|| "etcd".into());
        let etcd = run(
            folder.path(),
            "etcd",
            &etcd_program,
            &[
                "--data-dir=etcd".to_owned(),
                format!("--listen-client-urls=http://127.0.0.1:{etcd_port}"),
                format!("--advertise-client-urls=http://127.0.0.1:{etcd_port}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        );
        let mut plane = Self { folder, assets, ca, port, etcd_port, etcd, apiserver: None, manager: None };
        plane.start_apiserver().await;
        plane.start_manager();
        Some(plane)
    }

    /// Starts the API server on the data that etcd has, and waits until it is ready.
    pub(crate) async fn start_apiserver(&mut self) {
        let arguments = [
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--tls-cert-file=server.crt".to_owned(),
            "--tls-private-key-file=server.key".to_owned(),
            "--token-auth-file=tokens.csv".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-account-key-file=accounts.pub".to_owned(),
            "--service-account-signing-key-file=accounts.key".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            // Pods here need no tokens, and would wait for them.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        let program = self.assets.join("kube-apiserver");
        self.apiserver = Some(run(self.folder.path(), "apiserver", &program, &arguments));
        let client = self.client(ADMIN).await;
        let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
        let until = tokio::time::Instant::now() + GUARD;
        while client.request_text(ready.clone()).await.is_err() {
            assert!(tokio::time::Instant::now() < until, "kube-apiserver is not ready: {}", self.log("apiserver"));
            // It has no event to wait for.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the API server as a crash does; etcd keeps its data.
    pub(crate) fn stop_apiserver(&mut self) {
        self.apiserver = None;
    }

    fn start_manager(&mut self) {
        let kubeconfig = self.kubeconfig(ADMIN);
        let controllers =
            "deployment,replicaset,statefulset,garbagecollector,namespace,podgc,serviceaccount,disruption";
        let arguments = [
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--authentication-kubeconfig={}", kubeconfig.display()),
            format!("--authorization-kubeconfig={}", kubeconfig.display()),
            format!("--controllers={controllers}"),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", free_port()),
            "--port=0".to_owned(),
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--service-account-private-key-file=accounts.key".to_owned(),
        ];
        let program = self.assets.join("kube-controller-manager");
        self.manager = Some(run(self.folder.path(), "manager", &program, &arguments));
    }

    /// A kubeconfig file of a user.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{user}.kubeconfig"));
        std::fs::write(&path, serde_json::to_string(&self.config(user)).unwrap()).unwrap();
        path
    }

    /// A certificate of this machine's loopback address, its key, and the authority that has signed it.
    pub(crate) fn certificate(&self) -> (PathBuf, PathBuf, &str) {
        (self.folder.path().join("server.crt"), self.folder.path().join("server.key"), &self.ca)
    }

    async fn client(&self, user: &str) -> Client {
        Client::try_from(self.config_of(user).await).unwrap()
    }

    async fn config_of(&self, user: &str) -> kube::Config {
        let options = KubeConfigOptions::default();
        kube::Config::from_custom_kubeconfig(self.config(user), &options).await.unwrap()
    }

    fn config(&self, user: &str) -> Kubeconfig {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca);
        let config = serde_json::json!({
            "clusters": [{"name": "test", "cluster":
                {"server": format!("https://127.0.0.1:{}", self.port), "certificate-authority-data": ca}}],
            "users": [{"name": "test", "user": {"token": user}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        });
        serde_json::from_value(config).unwrap()
    }

    /// The ids of the processes.
    pub(crate) fn processes(&self) -> Vec<(&'static str, u32)> {
        let optional = |process: &Option<Process>| process.as_ref().map(|process| process.0.id());
        let all = [
            ("etcd", Some(self.etcd.0.id())),
            ("kube-apiserver", optional(&self.apiserver)),
            ("kube-controller-manager", optional(&self.manager)),
        ];
        all.into_iter().filter_map(|(name, id)| Some((name, id?))).collect()
    }

    /// The end of a process's log.
    fn log(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn run(folder: &Path, name: &str, program: &Path, arguments: &[String]) -> Process {
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    let errors = log.try_clone().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(log).stderr(errors);
    Process(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())))
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority, the server's certificate, and the key of service accounts; answers the authority's certificate.
fn certificates(folder: &Path) -> String {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let accounts = KeyPair::generate().unwrap();
    for (name, text) in [
        ("server.crt", server.pem()),
        ("server.key", key.serialize_pem()),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    authority.pem()
}
