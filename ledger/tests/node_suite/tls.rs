//! Who gets in where nodes have certificates: handshakes over real sockets.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use muniment_ledger::client::{ClientError, Endpoint, NetworkClient};
use muniment_ledger::config::{Limits, PeerConfig, ReplicaConfig, TlsConfig};
use muniment_ledger::node::Server;
use muniment_ledger::replica::Replica;
use muniment_ledger::replica::memory::MemoryReplica;
use muniment_ledger::tls::{Identity, Material};
use muniment_ledger::wire::{Problem, TransactionStatus, code};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use tokio::sync::oneshot;

use crate::support::{TOKEN, free_port, plain_http, replica, replica_of, single, until};

const HOST: &str = "localhost";

struct Authority(rcgen::Certificate, KeyPair);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        // A subject of its own, as every authority has.
        let name = format!("{:?}", &key.public_key_raw()[1..9]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(params.self_signed(&key).unwrap(), key)
    }

    /// A certificate for a host that is good for some years.
    fn issue(&self, host: &str, years: std::ops::Range<i32>) -> Material {
        self.certify(KeyPair::generate().unwrap(), host, years)
    }

    fn certify(&self, key: KeyPair, host: &str, years: std::ops::Range<i32>) -> Material {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        Material {
            authorities: self.0.pem().into_bytes(),
            certificate: params.signed_by(&key, &self.0, &self.1).unwrap().pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }

    fn good(&self) -> Material {
        self.issue(HOST, 2020..2100)
    }
}

struct Secure {
    plain: String,
    port: u16,
    identity: Identity,
    _stop: oneshot::Sender<()>,
}

impl Secure {
    fn start(material: Material, replica: Arc<MemoryReplica>) -> Self {
        Self::on(free_port(), material, replica, &[])
    }

    fn on(secure: TcpListener, material: Material, replica: Arc<MemoryReplica>, peers: &[u16]) -> Self {
        Self::as_is(secure, Identity::new(material).unwrap(), replica, peers)
    }

    fn as_is(secure: TcpListener, identity: Identity, replica: Arc<MemoryReplica>, peers: &[u16]) -> Self {
        let plain = free_port();
        let (address, port) = (plain.local_addr().unwrap(), secure.local_addr().unwrap().port());
        let peer = |port: &u16| PeerConfig {
            name: format!("at-{port}"),
            api: format!("https://{HOST}:{port}"),
            consensus: String::new(),
        };
        let nowhere = || "/nowhere".into();
        let config = ReplicaConfig {
            name: "a".to_owned(),
            api: address,
            consensus: address,
            peers: peers.iter().map(peer).collect(),
            token: TOKEN.to_owned(),
            tls: Some(TlsConfig {
                api: secure.local_addr().unwrap(),
                ca: nowhere(),
                certificate: nowhere(),
                key: nowhere(),
                plain: false,
            }),
            limits: Limits::default(),
        };
        let server = Server::on(plain, replica, &config).with_tls(secure, identity.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            plain: format!("http://{address}"),
            port,
            identity,
            _stop: stop,
        }
    }

    fn endpoint(&self, tls: Option<Material>) -> Endpoint {
        Endpoint {
            name: "a".to_owned(),
            url: format!("https://{HOST}:{}", self.port),
            token: TOKEN.to_owned(),
            tls: tls.map(|material| Identity::new(material).unwrap()),
        }
    }

    /// Asks over a connection of its own.
    async fn ask(&self, tls: Option<Material>) -> Result<u64, ClientError> {
        let client = NetworkClient::new(vec![self.endpoint(tls)]);
        client.status().await.pop().unwrap().1.map(|status| status.height)
    }

    async fn refusal(&self, tls: Option<Material>) -> String {
        self.ask(tls).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn only_who_shows_a_certificate_of_the_network_gets_in() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let node = Secure::start(authority.good(), replica());
    node.ask(Some(authority.good())).await.unwrap();

    // Trusts the node, but shows nothing or something else.
    let trusting = |own: Material| Material {
        authorities: authority.good().authorities,
        ..own
    };
    let why = node.refusal(Some(trusting(foreign.good()))).await;
    assert!(why.contains("it refuses our certificate"), "{why}");
    let why = node.refusal(Some(authority.issue(HOST, 2020..2021))).await;
    assert!(why.contains("CertificateExpired"), "{why}");
    let why = node.refusal(Some(authority.issue(HOST, 2090..2100))).await;
    assert!(why.contains("it refuses our certificate"), "{why}");
    let bare = reqwest::Client::builder().tls_backend_preconfigured(trusting_only(&authority));
    let error = bare
        .build()
        .unwrap()
        .get(format!("https://{HOST}:{}/healthz", node.port))
        .send()
        .await
        .unwrap_err();
    let why = muniment_ledger::tls::objection(&error).unwrap();
    assert!(why.contains("CertificateRequired"), "{why}");
    node.ask(Some(authority.good())).await.unwrap();
}

/// A client that knows the authority and has no certificate.
fn trusting_only(authority: &Authority) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn plain_http_gets_nothing_but_health() {
    let authority = Authority::new();
    let node = Secure::start(authority.good(), replica());
    node.ask(Some(authority.good())).await.unwrap();
    let http = plain_http();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = http.get(format!("{}{path}", node.plain)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    for path in [
        "/v1/status",
        "/v1/blocks",
        "/v1/transactions",
        "/checkpoint",
        "/elsewhere",
    ] {
        let answer = http
            .get(format!("{}{path}", node.plain))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        let problem: Problem = answer.json().await.unwrap();
        assert_eq!(problem.code, code::CERTIFICATE_REQUIRED, "{path}");
    }
    let secure = http.get(format!("http://{HOST}:{}/healthz", node.port)).send().await;
    assert!(secure.is_err(), "plain HTTP to the port of TLS: {secure:?}");
}

#[tokio::test]
async fn a_certificate_is_not_enough_without_the_token() {
    let authority = Authority::new();
    let node = Secure::start(authority.good(), replica());
    let wrong = Endpoint {
        token: "wrong".to_owned(),
        ..node.endpoint(Some(authority.good()))
    };
    let error = NetworkClient::new(vec![wrong])
        .status()
        .await
        .pop()
        .unwrap()
        .1
        .unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 401, .. }), "{error}");
}

#[tokio::test]
async fn a_client_talks_to_nobody_else() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let elsewhere = Secure::start(authority.issue("elsewhere.example", 2020..2100), replica());
    let why = elsewhere.refusal(Some(authority.good())).await;
    assert!(why.contains("not valid for name"), "{why}");
    let impostor = Secure::start(foreign.good(), replica());
    let why = impostor.refusal(Some(authority.good())).await;
    assert!(why.contains("UnknownIssuer"), "{why}");
    let expired = Secure::start(authority.issue(HOST, 2020..2021), replica());
    let why = expired.refusal(Some(authority.good())).await;
    assert!(why.contains("expired"), "{why}");
    assert!(
        expired.refusal(None).await.contains("isn't accepted"),
        "without a certificate nobody is trusted"
    );
}

#[tokio::test]
async fn peers_speak_tls_with_each_other() {
    let authority = Authority::new();
    let (a, b) = (replica_of(4), replica_of(4));
    let (first, second) = (free_port(), free_port());
    let ports = [first.local_addr().unwrap().port(), second.local_addr().unwrap().port()];
    let node = Secure::on(first, authority.good(), Arc::clone(&a), &[ports[1]]);
    let _other = Secure::on(second, authority.good(), Arc::clone(&b), &[ports[0]]);
    let transaction = single(&a, 1);
    let patient = NetworkClient::with_patience(vec![node.endpoint(Some(authority.good()))], Duration::from_secs(1));
    let _ = patient.submit(std::slice::from_ref(&transaction)).await;
    until("the peer has it", || {
        b.transaction(&transaction.id()).unwrap() != TransactionStatus::Unknown
    })
    .await;
}

#[tokio::test]
async fn new_certificates_are_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let node = Secure::start(old.good(), replica());
    let lasting = NetworkClient::new(vec![node.endpoint(Some(old.good()))]);
    lasting.status().await.pop().unwrap().1.unwrap();
    assert!(node.identity.replace(new.good()).unwrap());
    node.ask(Some(new.good())).await.unwrap();
    assert!(node.refusal(Some(old.good())).await.contains("UnknownIssuer"));
    lasting
        .status()
        .await
        .pop()
        .unwrap()
        .1
        .expect("a connection that is open stays");
}

/// As under a mount by subPath: once something changed, the process sees its private file no more.
#[tokio::test]
async fn public_files_are_read_again_and_the_key_that_is_out_of_sight_stays() {
    let (folder, old, new) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let at = |name: &str| folder.path().join(name);
    let files = TlsConfig {
        api: ([127, 0, 0, 1], 0).into(),
        ca: at("ca.crt"),
        certificate: at("own.crt"),
        key: at("own.key"),
        plain: false,
    };
    let write = |material: &Material| {
        std::fs::write(&files.ca, &material.authorities).unwrap();
        std::fs::write(&files.certificate, &material.certificate).unwrap();
    };
    let first = old.good();
    write(&first);
    std::fs::write(&files.key, &first.key).unwrap();
    let node = Secure::as_is(free_port(), Identity::open(&files).unwrap(), replica(), &[]);
    node.ask(Some(old.good())).await.unwrap();
    std::fs::remove_file(&files.key).unwrap();
    assert!(!node.identity.refresh(&files).unwrap(), "nothing is new");
    let key = KeyPair::from_pem(std::str::from_utf8(&first.key).unwrap()).unwrap();
    write(&new.certify(key, HOST, 2020..2100));
    assert!(node.identity.refresh(&files).unwrap());
    node.ask(Some(new.good())).await.unwrap();
    assert!(node.refusal(Some(old.good())).await.contains("UnknownIssuer"));
}
