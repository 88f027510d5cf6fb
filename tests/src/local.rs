//! The harness of local processes: `muniment dev` in a folder of its own, killed and looked at from outside.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::config::NodeConfig;
use muniment_receipts::trust::TrustRoot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::api::Api;
use crate::party::Party;
use crate::world::World;
use crate::{binary, poll};

/// Five processes per world on two cores: one world at a time in a test process.
static ONE: OnceLock<Arc<Mutex<()>>> = OnceLock::new();

/// Seed of the key of the extra member that signs for itself.
const SEED: [u8; 32] = [7; 32];

/// A running `muniment dev`.
pub struct LocalWorld {
    folder: tempfile::TempDir,
    port: u16,
    dev: Option<Child>,
    starts: usize,
    _one: OwnedMutexGuard<()>,
}

impl LocalWorld {
    /// A fresh network of four validators, ready.
    pub async fn fresh() -> Self {
        let mut world = Self::prepared().await;
        world.start().await;
        world
    }

    /// A network with these templates whose only member is the tenant, so that it admits others by its word alone.
    pub async fn with_templates(names: &[&str]) -> Self {
        let mut world = Self::prepared_with(names, "").await;
        world.start().await;
        world
    }

    /// As [`Self::fresh`], but nothing is started yet.
    ///
    /// # Panics
    /// When the folder can't be made.
    pub async fn prepared() -> Self {
        let member = Party::new(SEED, [0; 32]).signer();
        let members = format!("{{ name: outside, key: \"{member}\" }}");
        Self::prepared_with(&["notarization"], &members).await
    }

    async fn prepared_with(templates: &[&str], members: &str) -> Self {
        let templates: Vec<String> = templates.iter().map(|name| format!("{{ name: {name} }}")).collect();
        let templates = templates.join(", ");
        let one = ONE.get_or_init(Arc::default).clone().lock_owned().await;
        let folder = tempfile::Builder::new().prefix("muniment-test-").tempdir().unwrap();
        let network = format!(
            "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\nmetadata: {{ name: notary, namespace: demo }}\n\
             spec:\n  validators: {{ count: 4 }}\n  templates: [{templates}]\n  \
             members: [{members}]\n"
        );
        std::fs::write(folder.path().join("network.yaml"), network).unwrap();
        Self {
            folder,
            port: free_port(),
            dev: None,
            starts: 0,
            _one: one,
        }
    }

    /// Folder of the user's configuration in this world.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Data folder of `dev`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the scenario's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Address `dev` listens on.
    pub fn listen(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs the CLI against this world.
    pub fn cli<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> binary::Finished {
        binary::run(&self.config(), arguments)
    }

    /// Everything `dev` has written to the terminal since it was last started.
    pub fn screen(&self) -> String {
        std::fs::read_to_string(self.screen_path()).unwrap_or_default()
    }

    fn screen_path(&self) -> PathBuf {
        self.folder.path().join(format!("screen-{}", self.starts))
    }

    /// Starts `dev` without waiting for it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn launch(&mut self) {
        self.starts += 1;
        let screen = std::fs::File::create(self.screen_path()).unwrap();
        let mut command = binary::command(&self.config());
        command
            .arg("dev")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &self.listen()]);
        command
            .arg("--network-file")
            .arg(self.folder.path().join("network.yaml"));
        let child = command
            .stdout(screen.try_clone().unwrap())
            .stderr(screen)
            .spawn()
            .unwrap();
        self.dev = Some(child);
    }

    /// Sends SIGTERM to `dev` and waits for its end. Answers its exit code.
    pub async fn stop(&mut self) -> i32 {
        self.stop_by(Signal::TERM).await
    }

    /// As [`Self::stop`], with any signal that asks for an end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop_by(&mut self, how: Signal) -> i32 {
        let mut dev = self.dev.take().expect("dev runs");
        signal(dev.id(), how);
        let status = poll::until("dev ends after the signal", || {
            std::future::ready(dev.try_wait().unwrap())
        })
        .await;
        status.code().unwrap_or(-1)
    }

    /// Process of a validator, if there is one.
    pub fn process(&self, validator: &str) -> Option<u32> {
        processes()
            .into_iter()
            .find(|(_, command)| self.is_validator(command, Some(validator)))
            .map(|(pid, _)| pid)
    }

    fn is_validator(&self, command: &[String], validator: Option<&str>) -> bool {
        let folder = self.data();
        let Some(at) = command.iter().position(|word| word == "--config") else {
            return false;
        };
        let Some(config) = command.get(at + 1).map(Path::new) else {
            return false;
        };
        config.starts_with(&folder) && validator.is_none_or(|name| config.file_name().is_some_and(|last| last == name))
    }

    fn node_folder(&self, validator: &str) -> PathBuf {
        self.data().join("networks/demo/notary").join(validator)
    }

    /// Folder of all that one validator keeps: keys, genesis and data.
    pub fn replica_folder(&self, validator: &str) -> PathBuf {
        self.node_folder(validator).join(validator)
    }

    /// Where a validator's keys are kept, and where they are put so that nobody finds them.
    fn keys(&self, validator: &str) -> (PathBuf, PathBuf) {
        let keys = self.data().join("networks/demo/notary/keys");
        (
            keys.join(format!("{validator}.json")),
            keys.join(format!("{validator}.away")),
        )
    }

    fn endpoint(&self, validator: &str) -> Endpoint {
        let bytes = std::fs::read(self.node_folder(validator).join("node.json")).unwrap();
        let config: NodeConfig = serde_json::from_slice(&bytes).unwrap();
        let replica = config
            .replicas
            .into_iter()
            .find(|replica| replica.name == validator)
            .unwrap();
        Endpoint {
            name: replica.name,
            url: format!("http://{}", replica.api),
            token: replica.token,
            tls: None,
        }
    }

    /// All that a validator has logged, over all its starts.
    ///
    /// # Panics
    /// When the logs can't be read.
    pub fn log(&self, validator: &str) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.data().join("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.to_string_lossy().contains(validator))
            .collect();
        files.sort();
        let text = |file: PathBuf| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        files.into_iter().map(text).collect()
    }

    /// Context file that `dev` wrote.
    ///
    /// # Panics
    /// When there is none.
    pub fn context(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data().join("context.json")).unwrap()).unwrap()
    }

    /// Trust root file of the network.
    pub fn trust_root(&self) -> PathBuf {
        self.data().join("networks/demo/notary/trust-root.json")
    }

    fn dev_ended(&mut self) -> Option<std::process::ExitStatus> {
        self.dev.as_mut().and_then(|dev| dev.try_wait().unwrap())
    }
}

#[async_trait]
impl World for LocalWorld {
    fn api(&self) -> Api {
        let context = self.context();
        let text = |name: &str| context[name].as_str().unwrap().to_owned();
        Api::new(&text("server"), &text("apiKey"), &text("tenant"), &text("network"))
    }

    fn run(&self, words: &[&str]) -> binary::Finished {
        self.cli(words)
    }

    fn validators(&self) -> Vec<String> {
        (0..4).map(|index| format!("validator-{index}")).collect()
    }

    fn node(&self, validator: &str) -> NetworkClient {
        NetworkClient::new(vec![self.endpoint(validator)])
    }

    fn network(&self) -> NetworkClient {
        NetworkClient::new(self.validators().iter().map(|name| self.endpoint(name)).collect())
    }

    fn trust(&self) -> TrustRoot {
        TrustRoot::parse(&std::fs::read(self.trust_root()).unwrap()).unwrap()
    }

    fn party(&self) -> Party {
        Party::new(SEED, *self.trust().network())
    }

    async fn kill(&mut self, validator: &str) {
        if let Some(pid) = self.process(validator) {
            signal(pid, Signal::KILL);
        }
    }

    async fn pause(&mut self, validator: &str) {
        let pid = poll::until("the validator has a process", || {
            std::future::ready(self.process(validator))
        })
        .await;
        signal(pid, Signal::STOP);
    }

    async fn resume(&mut self, validator: &str) {
        if let Some(pid) = self.process(validator) {
            signal(pid, Signal::CONT);
        }
    }

    /// Without its keys its supervisor can't start it.
    async fn take_away(&mut self, validator: &str) {
        let (keys, away) = self.keys(validator);
        std::fs::rename(keys, away).unwrap();
        self.kill(validator).await;
        poll::until("the validator is dead", || {
            std::future::ready(self.process(validator).is_none().then_some(()))
        })
        .await;
    }

    async fn put_back(&mut self, validator: &str) {
        let (keys, away) = self.keys(validator);
        std::fs::rename(away, keys).unwrap();
    }

    /// The supervisor is in the same process: the validators see it go, and end.
    async fn kill_api(&mut self) {
        if let Some(mut dev) = self.dev.take() {
            let _ = dev.kill();
            let _ = dev.wait();
        }
    }

    async fn kill_all(&mut self) {
        self.kill_api().await;
        for (pid, command) in processes() {
            if self.is_validator(&command, None) {
                signal(pid, Signal::KILL);
            }
        }
    }

    async fn start(&mut self) {
        if self.dev.is_none() || self.dev_ended().is_some() {
            self.launch();
        }
        let start = Instant::now();
        while !self.screen().lines().any(|line| line.starts_with("ready in ")) {
            let ended = self.dev_ended();
            assert!(ended.is_none(), "dev ended with {ended:?} before it was ready");
            assert!(
                start.elapsed() < poll::LIMIT,
                "dev is not ready after {:?}",
                poll::LIMIT
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wipe(&mut self, validator: &str) {
        // Stopped first, so that it can't write between the removal and its death.
        self.pause(validator).await;
        std::fs::remove_dir_all(self.replica_folder(validator).join("data")).unwrap();
        self.kill(validator).await;
    }
}

impl Drop for LocalWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- dev's screen\n{}", self.screen());
            if std::env::var_os("MUNIMENT_KEEP").is_some() {
                let kept = self.folder.path().to_owned();
                self.folder.disable_cleanup(true);
                eprintln!("--- kept in {}", kept.display());
            }
        }
        if let Some(mut dev) = self.dev.take() {
            let _ = dev.kill();
            let _ = dev.wait();
        }
        for (pid, command) in processes() {
            if self.is_validator(&command, None) {
                signal(pid, Signal::KILL);
            }
        }
    }
}

/// Sends a signal; a process that is gone is none to send to.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Processes with their command lines, from `/proc`.
fn processes() -> Vec<(u32, Vec<String>)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let process = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words = bytes
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned());
        Some((pid, words.collect()))
    };
    entries.filter_map(process).collect()
}

/// A port nobody listens on now, with room above it for the validators' ports. Below the range from which the kernel
/// takes ports for outgoing connections: such a connection could take the port while `dev` is down.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let mut bytes = [0; 2];
    for _ in 0..1_000 {
        getrandom::fill(&mut bytes).unwrap();
        let port = 10_000 + u16::from_le_bytes(bytes) % 500 * 40;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port was found between 10000 and 30000");
}
