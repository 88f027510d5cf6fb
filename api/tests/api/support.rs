//! A world to test in: one API, one node server over the in-memory replica, two tenants.

use muniment_api::access::Access;
use muniment_api::keys::{Owner, Purpose};
use muniment_api::{Api, ApiConfig, MemoryDirectory, NetworkEntry};
use muniment_ledger::client::Endpoint;
use muniment_ledger::config::{Limits, ReplicaConfig};
use muniment_ledger::node::Server;
use muniment_ledger::replica::Replica;
use muniment_ledger::replica::memory::{MemoryReplica, test_network};
use muniment_receipts::genesis::Member;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const NETWORK: &str = "/v1/tenants/acme/networks/notary";
const TOKEN: &str = "node-token";

/// A task that serves, and how to end it.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub struct World {
    pub folder: tempfile::TempDir,
    pub base: String,
    pub key: String,
    pub stranger: String,
    pub replica: Arc<MemoryReplica>,
    pub directory: Arc<MemoryDirectory>,
    pub client: Client,
    pub node: Option<Running>,
    pub api: Option<Running>,
    /// Validators beside the first; they run as long as the world.
    _others: Vec<Running>,
    pub node_address: SocketAddr,
}

/// A deposit of a digest that follows from a number.
pub fn deposit(number: u64) -> Value {
    json!({"digests": [{"alg": "sha-256", "value": format!("{number:064x}")}], "mode": "plain"})
}

/// The database of a world: SQLite in its folder, or one of its own in the PostgreSQL that `MUNIMENT_TEST_POSTGRES` names
/// (`postgres://user@host:port`, without a database).
pub fn database(folder: &tempfile::TempDir) -> String {
    let Some(server) = postgres() else {
        return format!("sqlite://{}?mode=rwc", folder.path().join("muniment.db").display());
    };
    let name: String = folder
        .path()
        .to_string_lossy()
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("t{}", &name[name.len().saturating_sub(40)..]);
    let made = std::process::Command::new("psql")
        .args([&format!("{server}/postgres"), "-qc", &format!("CREATE DATABASE {name}")])
        .output()
        .expect("MUNIMENT_TEST_POSTGRES needs psql");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() || said.contains("already exists"), "{said}");
    format!("{server}/{name}")
}

/// The PostgreSQL to test on, if one is named.
pub fn postgres() -> Option<String> {
    std::env::var("MUNIMENT_TEST_POSTGRES").ok()
}

pub fn config(folder: &tempfile::TempDir) -> ApiConfig {
    ApiConfig::new(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        database(folder),
        folder.path().join("keys"),
    )
}

pub fn serve_node(replica: Arc<dyn Replica>, listener: TcpListener) -> Running {
    let config = ReplicaConfig {
        name: "validator-0".to_owned(),
        api: listener.local_addr().unwrap(),
        consensus: SocketAddr::from(([127, 0, 0, 1], 1)),
        peers: Vec::new(),
        token: TOKEN.to_owned(),
        tls: None,
        limits: Limits::default(),
    };
    let server = Server::on(listener, replica, &config);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        server.run(async { drop(stopped.await) }).await.unwrap();
    });
    Running { stop: Some(stop), task }
}

pub fn serve_api(api: Api) -> (String, Running) {
    let listener = api.listen().unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        api.serve(listener, Box::pin(async { drop(stopped.await) }))
            .await
            .unwrap();
    });
    (base, Running { stop: Some(stop), task })
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(adjust: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::build(adjust, |replica| vec![replica]).await
    }

    /// A world whose first validator is made by `first`; two honest ones come after it.
    pub async fn among(first: impl FnOnce(Arc<MemoryReplica>) -> Arc<dyn Replica>) -> Self {
        Self::build(|_| {}, |honest| vec![first(honest.clone()), honest.clone(), honest]).await
    }

    /// A world whose only validator is made by `only`.
    pub async fn under(only: impl FnOnce(Arc<MemoryReplica>) -> Arc<dyn Replica>) -> Self {
        Self::build(|_| {}, |honest| vec![only(honest)]).await
    }

    /// A world with these validators.
    pub async fn build(
        adjust: impl FnOnce(&mut ApiConfig),
        validators: impl FnOnce(Arc<MemoryReplica>) -> Vec<Arc<dyn Replica>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&folder);
        adjust(&mut config);
        let directory = Arc::new(MemoryDirectory::default());
        let api = Api::start(config, directory.clone()).await.unwrap();
        let acme = api.bootstrap_tenant("acme").await.unwrap();
        let globex = api.bootstrap_tenant("globex").await.unwrap();
        let bank = api
            .keys()
            .ensure(&Owner::party("acme", "bank"), Purpose::Statement)
            .await
            .unwrap();
        let member = |name: &str, key: &muniment_receipts::key::SignerKey| Member {
            name: name.to_owned(),
            key: key.to_string(),
        };
        let party = super::signed::party();
        let members = vec![
            member("acme", &acme.signer),
            member("party", &party.1),
            member("bank", &bank),
        ];
        let (genesis, keys) = test_network(4, members);
        let replica = Arc::new(MemoryReplica::new(&genesis, &keys).unwrap());
        let mut nodes = Vec::new();
        let mut addresses = Vec::new();
        for validator in validators(replica.clone()) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            addresses.push(listener.local_addr().unwrap());
            nodes.push(serve_node(validator, listener));
        }
        directory.put(entry("acme", "notary", &replica, &addresses));
        let others = nodes.split_off(1);
        let (base, running) = serve_api(api);
        let world = Self {
            folder,
            base,
            key: acme.api_key.unwrap().to_string(),
            stranger: globex.api_key.unwrap().to_string(),
            replica,
            directory,
            client: muniment_ledger::tls::http(None).unwrap().no_proxy().build().unwrap(),
            node: nodes.pop(),
            _others: others,
            api: Some(running),
            node_address: addresses[0],
        };
        world
            .until("the API answers", async || world.get("/healthz").send().await.is_ok())
            .await;
        world
    }

    /// Drops the API where it stands: no goodbye to anything. Its sessions end as those of a dead process do.
    pub async fn drop_api(&mut self) {
        drop(self.api.take());
        if postgres().is_some() {
            let database = sea_orm::Database::connect(database(&self.folder)).await.unwrap();
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sea_orm::ConnectionTrait::execute_unprepared(&database, others)
                .await
                .unwrap();
            database.close().await.unwrap();
        }
    }

    /// Starts the API again on the same folder, after it was stopped or dropped. Answers what gives access to it.
    pub async fn start_api(&mut self) -> Access {
        let api = Api::start_or_stand_by(config(&self.folder), self.directory.clone())
            .await
            .unwrap();
        let access = api.access();
        let (base, running) = serve_api(api);
        (self.base, self.api) = (base, Some(running));
        self.until("the API answers", async || self.get("/healthz").send().await.is_ok())
            .await;
        access
    }

    /// Starts the API again, with who keeps descriptions. Answers a key of the platform.
    pub async fn described(&mut self, resources: Arc<dyn muniment_api::resources::Resources>) -> String {
        self.api.take().unwrap().stop().await;
        let api = Api::start_or_stand_by(config(&self.folder), self.directory.clone())
            .await
            .unwrap();
        api.describe(resources);
        let platform = api.bootstrap_tenant("muniment").await.unwrap();
        let (base, running) = serve_api(api);
        (self.base, self.api) = (base, Some(running));
        self.until("the API answers", async || self.get("/healthz").send().await.is_ok())
            .await;
        platform.api_key.unwrap().to_string()
    }

    /// Starts the node server again at its address.
    pub fn start_node(&mut self) {
        let listener = TcpListener::bind(self.node_address).unwrap();
        self.node = Some(serve_node(self.replica.clone(), listener));
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("prefer", "wait=20").json(body)
    }

    /// The party `bank`, whose key is a member of the network, and an API key that acts for it.
    pub async fn bank(&self) -> (Value, String) {
        let post = async |path: &str, body: Value| answer(self.post(path, &body).send().await.unwrap()).await;
        let (status, party) = post("/v1/tenants/acme/parties", json!({ "name": "bank" })).await;
        assert_eq!(status, StatusCode::CREATED, "{party}");
        let (status, key) = post(
            "/v1/tenants/acme/api-keys",
            json!({ "name": "bank's", "party": "bank" }),
        )
        .await;
        assert_eq!((status, &key["party"]), (StatusCode::CREATED, &json!("bank")), "{key}");
        (party, key["secret"].as_str().unwrap().to_owned())
    }

    pub async fn notarize(&self, number: u64) -> (StatusCode, Value) {
        answer(
            self.post(&format!("{NETWORK}/notarizations"), &deposit(number))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !condition().await {
            assert!(Instant::now() < end, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A network of the tenant globex, beside acme's.
    pub async fn second(&self) -> (Arc<MemoryReplica>, Running) {
        let request = self.client.get(format!("{}/v1/whoami", self.base));
        let (_, whoami) = answer(request.bearer_auth(&self.stranger).send().await.unwrap()).await;
        let member = Member {
            name: "globex".to_owned(),
            key: whoami["signer"].as_str().unwrap().to_owned(),
        };
        let (genesis, keys) = test_network(4, vec![member]);
        let replica = Arc::new(MemoryReplica::new(&genesis, &keys).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let node = serve_node(replica.clone(), listener);
        self.directory.put(entry("globex", "notary", &replica, &[address]));
        (replica, node)
    }

    /// Another address at which the first validator answers.
    pub fn elsewhere(&self) -> (SocketAddr, Running) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (address, serve_node(self.replica.clone(), listener))
    }

    /// A figure of `/metrics`.
    pub async fn figure(&self, name: &str) -> usize {
        let text = self.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    }

    /// Waits until an operation isn't pending.
    pub async fn finished(&self, path: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let (status, operation) = answer(self.get(path).send().await.unwrap()).await;
            if status == StatusCode::OK && operation["phase"] != "pending" {
                return operation;
            }
            assert!(Instant::now() < end, "{path} is still {status} {operation}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn entry(tenant: &str, name: &str, replica: &MemoryReplica, nodes: &[SocketAddr]) -> NetworkEntry {
    let endpoint = |(index, node): (usize, &SocketAddr)| Endpoint {
        name: format!("validator-{index}"),
        url: format!("http://{node}"),
        token: TOKEN.to_owned(),
        tls: None,
    };
    NetworkEntry {
        tenant: tenant.to_owned(),
        name: name.to_owned(),
        id: *replica.trust_root().network(),
        endpoints: nodes.iter().enumerate().map(endpoint).collect(),
        trust_root: replica.trust_root().canonical().unwrap(),
        suspended: false,
        asleep: false,
        restarts: BTreeMap::from([("validator-0".to_owned(), 7)]),
    }
}

/// Status and JSON of an answer. Every error must be a problem with the request's id.
pub async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let kind = response
        .headers()
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned());
    let id = response
        .headers()
        .get("x-request-id")
        .map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    assert!(id.is_some(), "no request id");
    if status.as_u16() >= 400 {
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status} {text}");
        assert_eq!(value["requestId"].as_str(), id.as_deref(), "{text}");
        assert_eq!(value["status"], status.as_u16(), "{text}");
        for field in ["type", "title", "code", "detail"] {
            assert!(
                value[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field} in {text}"
            );
        }
    }
    (status, value)
}
