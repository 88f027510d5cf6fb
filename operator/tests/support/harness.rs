//! Ways to bring a backend up, disturb it, and bring it up again.
#![allow(dead_code)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muniment_crds::{LedgerNetwork, NetworkName, Placement, TenantName};
use muniment_operator::{
    Backend, Catalog, ClusterBackend, ClusterSettings, DataDir, Facts, LocalBackend, LocalConfig, MemoryBackend,
    NetworkRef, Observation, Plan, Ports, ValidatedNetwork, plan, validate,
};
use muniment_receipts::genesis::{GenesisTemplate, Member, ValidatorKeys};

#[path = "fake_cluster.rs"]
mod fake_cluster;
pub use fake_cluster::FakeCluster;

const LIMIT: Duration = Duration::from_secs(30);

/// Polls until there is a value.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(started.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn network() -> NetworkRef {
    NetworkRef {
        tenant: TenantName::new("demo").unwrap(),
        name: NetworkName::new("notary").unwrap(),
    }
}

pub fn members() -> Vec<Member> {
    vec![Member {
        name: "demo".into(),
        key: "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
    }]
}

pub fn catalog() -> Catalog {
    let source = "notarization template".to_owned();
    Catalog::new(vec![GenesisTemplate {
        name: "notarization".into(),
        revision: 1,
        source,
    }])
}

pub fn resource() -> LedgerNetwork {
    let text = "
        apiVersion: muniment.dev/v1alpha1
        kind: LedgerNetwork
        metadata: { name: notary, namespace: demo }
        spec:
          validators: { count: 4 }
          templates: [{ name: notarization }]";
    serde_yaml::from_str(text).unwrap()
}

#[derive(Clone)]
pub struct Wish(LedgerNetwork);

impl Wish {
    fn validated(&self) -> ValidatedNetwork {
        validate(&self.0, &members(), &catalog()).unwrap()
    }
}

/// What the suite needs of a backend under test.
pub trait Harness: Sized {
    type Backend: Backend;
    fn backend(&self) -> &Self::Backend;
    fn wish(&mut self) -> &mut LedgerNetwork;
    fn validated(&self) -> ValidatedNetwork;
    /// Kills a node's process with SIGKILL.
    fn kill(&self, validator: &str);
    /// Keeps a node from voting.
    fn hold(&self, validator: &str, held: bool);
    /// Ends the supervisor and starts another one over the same data.
    fn restart(self) -> impl Future<Output = Self>;
    fn stop(self) -> impl Future<Output = ()>;
    /// Checks that the nodes took over a limit.
    fn assert_settings(&self, seen: &Observation, block_actions: u64);

    fn facts(&self) -> impl Future<Output = Facts> {
        async { self.backend().allocate(&self.validated()).await.unwrap() }
    }
    fn plan(&self) -> impl Future<Output = Plan> {
        async { plan(&self.validated(), &self.facts().await).unwrap() }
    }
    fn block_actions(&mut self, limit: u64) {
        self.wish().spec.limits.block_actions = Some(limit);
    }
    fn another_member(&mut self) {
        let key = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw".to_owned();
        let name = "other".to_owned();
        self.wish().spec.members.push(muniment_crds::MemberSpec { name, key });
    }
    fn validators(&mut self, count: u32) {
        self.wish().spec.validators.count = count;
    }
    fn new_plan_from_elsewhere() -> impl Future<Output = Plan> {
        async { MemoryHarness::new().await.plan().await }
    }
}

/// A backend over a ledger that can be told what to decide.
pub trait Governed: Harness {
    fn decide(&self, validator: &ValidatorKeys, joins: bool);
}

impl Governed for MemoryHarness {
    fn decide(&self, validator: &ValidatorKeys, joins: bool) {
        self.backend.decide(&network(), validator, joins);
    }
}

impl Governed for ClusterHarness {
    fn decide(&self, validator: &ValidatorKeys, joins: bool) {
        self.cluster.decide(validator, joins);
    }
}

pub struct MemoryHarness {
    backend: MemoryBackend,
    wish: Wish,
}

impl MemoryHarness {
    pub async fn new() -> Self {
        Self {
            backend: MemoryBackend::default(),
            wish: Wish(resource()),
        }
    }
}

impl Harness for MemoryHarness {
    type Backend = MemoryBackend;

    fn backend(&self) -> &MemoryBackend {
        &self.backend
    }
    fn wish(&mut self) -> &mut LedgerNetwork {
        &mut self.wish.0
    }
    fn validated(&self) -> ValidatedNetwork {
        self.wish.validated()
    }
    fn kill(&self, validator: &str) {
        self.backend.kill(&network(), validator);
    }
    fn hold(&self, validator: &str, held: bool) {
        self.backend.hold(&network(), validator, held);
    }
    async fn restart(self) -> Self {
        Self {
            backend: self.backend.reopen(),
            wish: self.wish,
        }
    }
    async fn stop(self) {}
    fn assert_settings(&self, _seen: &Observation, _block_actions: u64) {}
}

pub struct LocalHarness {
    pub folder: tempfile::TempDir,
    pub backend: LocalBackend,
    wish: Wish,
}

pub fn fake_config() -> LocalConfig {
    LocalConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_muniment-fake-node")),
        arguments: vec!["node".into()],
        ports: Ports::Any,
    }
}

pub fn open(folder: &Path) -> LocalBackend {
    LocalBackend::start(DataDir::open(folder).unwrap(), fake_config()).unwrap()
}

impl LocalHarness {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = open(folder.path());
        Self {
            folder,
            backend,
            wish: Wish(resource()),
        }
    }

    pub fn node_folder(&self, validator: &str) -> PathBuf {
        self.folder
            .path()
            .canonicalize()
            .unwrap()
            .join("networks/demo/notary")
            .join(validator)
    }

    pub fn pid(&self, validator: &str) -> u32 {
        std::fs::read_to_string(self.node_folder(validator).join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }
}

pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

impl Harness for LocalHarness {
    type Backend = LocalBackend;

    fn backend(&self) -> &LocalBackend {
        &self.backend
    }
    fn wish(&mut self) -> &mut LedgerNetwork {
        &mut self.wish.0
    }
    fn validated(&self) -> ValidatedNetwork {
        self.wish.validated()
    }
    fn kill(&self, validator: &str) {
        kill(self.pid(validator));
    }
    fn hold(&self, validator: &str, held: bool) {
        let file = self.node_folder(validator).join("hold");
        if held {
            std::fs::write(file, "").unwrap()
        } else {
            std::fs::remove_file(file).unwrap()
        }
    }
    async fn restart(self) -> Self {
        let Self { folder, backend, wish } = self;
        backend.stop().await;
        drop(backend);
        let backend = open(folder.path());
        Self { folder, backend, wish }
    }
    async fn stop(self) {
        self.backend.stop().await;
    }
    fn assert_settings(&self, seen: &Observation, block_actions: u64) {
        // The stand-in reports this limit as its height.
        assert!(
            seen.nodes
                .iter()
                .all(|n| n.answer.as_ref().is_some_and(|a| a.height == block_actions)),
            "{seen:?}"
        );
    }
}

/// A stand-in cluster that lives through restarts of the operator.
pub struct ClusterHarness {
    pub cluster: FakeCluster,
    pub backend: ClusterBackend,
    wish: Wish,
}

pub fn cluster_settings() -> ClusterSettings {
    ClusterSettings {
        namespace: "muniment".into(),
        image: "muniment:test".into(),
        image_pull_policy: "Never".into(),
        priority_class: None,
        service_account: "muniment-operator".into(),
        api_service_account: "muniment-api".into(),
        hosts: None,
        tenant_role: "muniment-operator-tenant".into(),
    }
}

pub async fn operator(cluster: &FakeCluster) -> ClusterBackend {
    let settings = ClusterSettings {
        hosts: cluster.hosts(),
        ..cluster_settings()
    };
    ClusterBackend::new(cluster.client().await, settings).unwrap()
}

/// The same with hosts, and a network in them.
pub struct SharedHarness(pub ClusterHarness);

impl SharedHarness {
    pub async fn new() -> Self {
        let mut harness = ClusterHarness::new().await;
        harness.cluster.install_hosts();
        harness.backend = operator(&harness.cluster).await;
        harness.wish.0.spec.placement = Placement::Shared;
        Self(harness)
    }
}

impl Harness for SharedHarness {
    type Backend = ClusterBackend;

    fn backend(&self) -> &ClusterBackend {
        self.0.backend()
    }
    fn wish(&mut self) -> &mut LedgerNetwork {
        self.0.wish()
    }
    fn validated(&self) -> ValidatedNetwork {
        self.0.validated()
    }
    fn kill(&self, validator: &str) {
        self.0.kill(validator);
    }
    fn hold(&self, validator: &str, held: bool) {
        self.0.hold(validator, held);
    }
    async fn restart(self) -> Self {
        Self(self.0.restart().await)
    }
    async fn stop(self) {}
    fn assert_settings(&self, seen: &Observation, block_actions: u64) {
        self.0.assert_settings(seen, block_actions);
    }
}

/// The memory twin with a network in shared placement.
pub struct SharedMemoryHarness(MemoryHarness);

impl SharedMemoryHarness {
    pub async fn new() -> Self {
        let mut harness = MemoryHarness::new().await;
        harness.wish.0.spec.placement = Placement::Shared;
        Self(harness)
    }
}

impl Harness for SharedMemoryHarness {
    type Backend = MemoryBackend;

    fn backend(&self) -> &MemoryBackend {
        self.0.backend()
    }
    fn wish(&mut self) -> &mut LedgerNetwork {
        self.0.wish()
    }
    fn validated(&self) -> ValidatedNetwork {
        self.0.validated()
    }
    fn kill(&self, validator: &str) {
        self.0.kill(validator);
    }
    fn hold(&self, validator: &str, held: bool) {
        self.0.hold(validator, held);
    }
    async fn restart(self) -> Self {
        Self(self.0.restart().await)
    }
    async fn stop(self) {}
    fn assert_settings(&self, _seen: &Observation, _block_actions: u64) {}
}

impl ClusterHarness {
    pub async fn new() -> Self {
        let cluster = FakeCluster::start();
        let backend = operator(&cluster).await;
        Self {
            cluster,
            backend,
            wish: Wish(resource()),
        }
    }
}

impl Harness for ClusterHarness {
    type Backend = ClusterBackend;

    fn backend(&self) -> &ClusterBackend {
        &self.backend
    }
    fn wish(&mut self) -> &mut LedgerNetwork {
        &mut self.wish.0
    }
    fn validated(&self) -> ValidatedNetwork {
        self.wish.validated()
    }
    fn kill(&self, validator: &str) {
        self.cluster.kill(validator);
    }
    fn hold(&self, validator: &str, held: bool) {
        self.cluster.hold(validator, held);
    }
    async fn restart(self) -> Self {
        let backend = operator(&self.cluster).await;
        Self { backend, ..self }
    }
    async fn stop(self) {}
    fn assert_settings(&self, seen: &Observation, block_actions: u64) {
        // The stand-in reports this limit as its height.
        assert!(
            seen.nodes
                .iter()
                .all(|n| n.answer.as_ref().is_some_and(|a| a.height == block_actions)),
            "{seen:?}"
        );
    }
}
