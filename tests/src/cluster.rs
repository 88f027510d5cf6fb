//! The harness of a real Kubernetes on this machine: the charts as a user installs them, a tenant and a network as a user
//! applies them, looked at from outside.
//!
//! Needs root and the tool that runs the cluster (`MUNIMENT_CLUSTER_TOOL`, `KUBECONFIG`, `MUNIMENT_IMAGE`): containers are
//! killed and paused as processes of this machine, and a volume is emptied as a folder of it.

mod lifecycle;
mod toll;
mod tool;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api as Resources, Client};
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::tls::{Identity, Material};
use muniment_receipts::trust::TrustRoot;
use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::api::Api;
use crate::binary::{self, Finished};
use crate::local::signal;
use crate::party::Party;
use crate::poll;
use crate::world::{World, statuses};
pub use toll::Toll;
pub use tool::{
    RELEASE, apply, attempt, connects, forgive_kills, image, install, kubectl, pod_address, release, tool, wanted,
};

/// Seed of the key of the extra member that signs for itself.
const SEED: [u8; 32] = [7; 32];
/// Name of the network.
pub const NETWORK: &str = "contracts";
/// A tenant with one network of four validators on the cluster.
pub struct ClusterWorld {
    tenant: String,
    client: Client,
    folder: tempfile::TempDir,
    /// Local ports that lead to a validator or to the API.
    doors: Mutex<HashMap<String, u16>>,
    /// Names of those in the set, as last looked at.
    validators: Mutex<Vec<String>>,
    /// Bearer token of the nodes.
    token: OnceLock<String>,
    /// The trust root as the API has it after validators changed.
    newest: Mutex<Option<TrustRoot>>,
}

impl ClusterWorld {
    /// A fresh tenant with a fresh network, ready. It has a second member, which signs for itself.
    ///
    /// # Panics
    /// When the cluster does not do as it should.
    pub async fn fresh() -> Self {
        let member = Party::new(SEED, [0; 32]).signer();
        let mut world = Self::described(&format!("  members: [{{ name: outside, key: \"{member}\" }}]\n")).await;
        world.open_all().await;
        world
    }

    /// The same with the tenant as its only member, which decides alone.
    pub async fn alone() -> Self {
        let mut world = Self::described("").await;
        world.open_all().await;
        world
    }

    /// A tenant, and a network with more in its spec. Nothing is waited for but the tenant's namespace.
    pub async fn described(more: &str) -> Self {
        let world = Self::bare().await;
        world.describe(more);
        world
    }

    /// A tenant that has no network yet.
    pub async fn bare() -> Self {
        Self::of_tenant("displayName: A test").await
    }

    /// A tenant with this quota that has no network yet.
    pub async fn with_quota(quota: &str) -> Self {
        Self::of_tenant(&format!("quota: {{ {quota} }}")).await
    }

    async fn of_tenant(spec: &str) -> Self {
        install();
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap();
        let tenant = format!("e2e-{}", hex::encode(bytes));
        apply(&format!(
            "apiVersion: muniment.dev/v1alpha1\nkind: Tenant\nmetadata: {{ name: {tenant} }}\nspec: {{ {spec} }}\n"
        ));
        poll::until("the tenant has its namespace", || async {
            attempt(&["kubectl", "get", "namespace", &tenant], "").0.then_some(())
        })
        .await;
        Self {
            tenant,
            client: Client::try_default().await.expect("KUBECONFIG names the cluster"),
            folder: tempfile::tempdir().unwrap(),
            doors: Mutex::default(),
            validators: Mutex::new((0..4).map(|index| format!("validator-{index}")).collect()),
            token: OnceLock::new(),
            newest: Mutex::default(),
        }
    }

    /// Applies the network with more in its spec, as a user would.
    pub fn describe(&self, more: &str) {
        apply(&format!(
            "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\n\
             metadata: {{ name: {NETWORK}, namespace: {} }}\nspec:\n  \
             templates: [{{ name: notarization }}]\n{more}",
            self.tenant
        ));
    }

    /// Waits until the network is ready, and opens doors to its validators and to the API.
    pub async fn open_all(&mut self) {
        self.start().await;
        for validator in self.validators() {
            let pod = self.pod(&validator);
            self.open(validator, self.tenant.clone(), pod, 8411).await;
        }
        let (door, pod) = ("api".to_owned(), format!("{RELEASE}-api-0"));
        self.open(door, RELEASE.to_owned(), pod, 8400).await;
        poll::until("the API has the network", || async {
            let api = self.api();
            let answer = api.request(reqwest::Method::GET, &api.url(""), &[], None).await;
            (answer.ok()?.status == 200).then_some(())
        })
        .await;
    }

    /// Name of the tenant and of its namespace.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Process of a validator on this machine.
    ///
    /// # Panics
    /// When it has none.
    pub fn pid(&self, validator: &str) -> u32 {
        Self::processes(&self.tenant, &self.pod(validator))[0]
    }

    /// Address of a validator's pod.
    pub fn address(&self, validator: &str) -> String {
        let pod = self.pod(validator);
        kubectl(&["get", "pod", "-n", &self.tenant, &pod, "-o", "jsonpath={.status.podIP}"])
    }

    fn pod(&self, validator: &str) -> String {
        format!("{NETWORK}-{validator}")
    }

    /// Opens a local port that leads to a pod by its name, also after the pod was made anew.
    async fn open(&self, name: String, namespace: String, pod: String, port: u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let local = listener.local_addr().unwrap().port();
        let pods: Resources<Pod> = Resources::namespaced(self.client.clone(), &namespace);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (pods, pod) = (pods.clone(), pod.clone());
                tokio::spawn(async move {
                    // A pod that is gone breaks the connection, as any network does.
                    let Ok(mut forwarder) = pods.portforward(&pod, &[port]).await else {
                        return;
                    };
                    if let Some(mut stream) = forwarder.take_stream(port) {
                        let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
                    }
                });
            }
        });
        self.doors.lock().unwrap().insert(name, local);
    }

    /// Where a validator's health is answered, from here.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn health_door(&self) -> String {
        let (name, pod) = ("health".to_owned(), self.pod("validator-0"));
        self.open(name, self.tenant.clone(), pod, 8410).await;
        self.door("health")
    }

    /// Local URL of an open port.
    ///
    /// # Panics
    /// When it isn't open.
    pub fn door(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.doors.lock().unwrap()[name])
    }

    fn secret(&self, name: &str, key: &str) -> Vec<u8> {
        use base64::Engine as _;
        let path = format!("jsonpath={{.data.{}}}", key.replace('.', "\\."));
        let text = kubectl(&["get", "secret", "-n", &self.tenant, name, "-o", &path]);
        base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap()
    }

    /// Token of the nodes.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self) -> String {
        let token = || String::from_utf8(self.secret(&format!("{NETWORK}-client"), "token")).unwrap();
        self.token.get_or_init(token).clone()
    }

    /// A client's certificate.
    fn material(&self) -> Material {
        let client = |key: &str| self.secret(&format!("{NETWORK}-client"), key);
        Material {
            authorities: client("ca.crt"),
            certificate: client("tls.crt"),
            key: client("tls.key"),
        }
    }

    fn endpoint(&self, validator: &str, material: Material) -> Endpoint {
        Endpoint {
            name: validator.to_owned(),
            url: format!(
                "https://{}:{}",
                self.host(validator),
                self.doors.lock().unwrap()[validator]
            ),
            token: self.token(),
            tls: Some(Identity::new(material).unwrap()),
        }
    }

    /// A client of one validator that trusts it and knows its token, with the certificate of another network.
    ///
    /// # Panics
    /// When one of the networks has no certificates.
    pub fn as_client_of(&self, other: &Self) -> NetworkClient {
        let material = Material {
            authorities: self.material().authorities,
            ..other.material()
        };
        self.client_with(&["validator-0".to_owned()], &material)
    }

    /// The name that a validator's certificate has.
    fn host(&self, validator: &str) -> String {
        format!("{}.{NETWORK}-nodes.{}.svc", self.pod(validator), self.tenant)
    }

    /// A client of these validators through their forwarded ports.
    fn client(&self, validators: &[String]) -> NetworkClient {
        self.client_with(validators, &self.material())
    }

    fn client_with(&self, validators: &[String], material: &Material) -> NetworkClient {
        let here = |name: &String| (self.host(name), IpAddr::from(Ipv4Addr::LOCALHOST));
        let hosts: Vec<_> = validators.iter().map(here).collect();
        let endpoints = validators.iter().map(|name| self.endpoint(name, material.clone()));
        NetworkClient::at(endpoints.collect(), &hosts)
    }

    /// Processes of a pod of ours on this machine.
    fn processes(namespace: &str, pod: &str) -> Vec<u32> {
        let words = [
            "kubectl",
            "get",
            "pod",
            "-n",
            namespace,
            pod,
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let (found, uid) = attempt(&words, "");
        if !found {
            return Vec::new();
        }
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let of_pod = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let cgroup = std::fs::read_to_string(entry.path().join("cgroup")).ok()?;
            let program = std::fs::read(entry.path().join("cmdline")).ok()?;
            (cgroup.contains(uid.trim()) && program.starts_with(b"/muniment")).then_some(pid)
        };
        entries.filter_map(of_pod).collect()
    }

    /// Sends a signal to the processes of any pod of ours.
    pub fn signal_pod(namespace: &str, pod: &str, how: Signal) {
        for pid in Self::processes(namespace, pod) {
            signal(pid, how);
        }
    }

    fn signal(&self, validator: &str, how: Signal) {
        for pid in Self::processes(&self.tenant, &self.pod(validator)) {
            signal(pid, how);
        }
    }

    /// Folder of a validator's volume on this machine.
    fn volume(&self, validator: &str) -> PathBuf {
        let claim = format!("data-{}", self.pod(validator));
        let name = kubectl(&[
            "get",
            "pvc",
            "-n",
            &self.tenant,
            &claim,
            "-o",
            "jsonpath={.spec.volumeName}",
        ]);
        let path = "jsonpath={.spec.hostPath.path}{.spec.local.path}";
        kubectl(&["get", "pv", name.trim(), "-o", path]).trim().into()
    }
}

#[async_trait]
impl World for ClusterWorld {
    fn api(&self) -> Api {
        let key = String::from_utf8(self.secret("muniment-access", "apiKey")).unwrap();
        Api::new(&self.door("api"), &key, &self.tenant, NETWORK)
    }

    fn run(&self, words: &[&str]) -> Finished {
        let place = ["--context", "cluster", "--tenant", &self.tenant, "--network", NETWORK];
        binary::command(self.folder.path())
            .args([&place, words].concat())
            .output()
            .unwrap()
            .into()
    }

    fn validators(&self) -> Vec<String> {
        self.validators.lock().unwrap().clone()
    }

    fn node(&self, validator: &str) -> NetworkClient {
        self.client(&[validator.to_owned()])
    }

    fn network(&self) -> NetworkClient {
        self.client(&self.validators())
    }

    fn trust(&self) -> TrustRoot {
        let first = TrustRoot::parse(&self.secret(&format!("{NETWORK}-client"), "trust-root.json")).unwrap();
        match self.newest.lock().unwrap().clone() {
            // What changed since is proven from the first one on.
            Some(newest) if newest.continues(&first) => newest,
            Some(_) => panic!("the network's trust root isn't continued"),
            None => first,
        }
    }

    fn party(&self) -> Party {
        Party::new(SEED, *self.trust().network())
    }

    async fn kill(&mut self, validator: &str) {
        self.signal(validator, Signal::KILL);
    }

    async fn pause(&mut self, validator: &str) {
        poll::until("the validator has a process", || async {
            (!Self::processes(&self.tenant, &self.pod(validator)).is_empty()).then_some(())
        })
        .await;
        self.signal(validator, Signal::STOP);
    }

    async fn resume(&mut self, validator: &str) {
        self.signal(validator, Signal::CONT);
    }

    /// Kubernetes starts a dead one again at once: what can be kept away here is what it does.
    async fn take_away(&mut self, validator: &str) {
        self.pause(validator).await;
    }

    async fn put_back(&mut self, validator: &str) {
        self.resume(validator).await;
    }

    async fn kill_api(&mut self) {
        for pid in Self::processes(RELEASE, &format!("{RELEASE}-api-0")) {
            signal(pid, Signal::KILL);
        }
    }

    async fn kill_all(&mut self) {
        let mut all: Vec<u32> = Vec::new();
        for validator in self.validators() {
            all.extend(Self::processes(&self.tenant, &self.pod(&validator)));
        }
        all.extend(Self::processes(RELEASE, &format!("{RELEASE}-api-0")));
        for pid in all {
            signal(pid, Signal::KILL);
        }
    }

    async fn start(&mut self) {
        let network = format!("ln/{NETWORK}");
        tool(
            &[
                "kubectl",
                "wait",
                "-n",
                &self.tenant,
                &network,
                "--for=condition=Ready",
                "--timeout=120s",
            ],
            "",
        );
        let ready = format!("pod/{RELEASE}-api-0");
        tool(
            &[
                "kubectl",
                "wait",
                "-n",
                RELEASE,
                &ready,
                "--for=condition=Ready",
                "--timeout=120s",
            ],
            "",
        );
        if self.doors.lock().unwrap().is_empty() {
            return;
        }
        poll::until("every validator answers", || async {
            (statuses(self).await.len() == self.validators().len()).then_some(())
        })
        .await;
    }

    async fn wipe(&mut self, validator: &str) {
        self.pause(validator).await;
        let folder = self.volume(validator).join(validator).join("data");
        std::fs::remove_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        self.kill(validator).await;
    }
}

impl Drop for ClusterWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, text) = attempt(&["kubectl", "get", "all,ln,events", "-n", &self.tenant], "");
            eprintln!("--- {}\n{text}", self.tenant);
            return;
        }
        let _ = attempt(
            &["kubectl", "delete", "ln", NETWORK, "-n", &self.tenant, "--wait=false"],
            "",
        );
        let _ = attempt(&["kubectl", "delete", "tenant", &self.tenant, "--wait=false"], "");
    }
}
