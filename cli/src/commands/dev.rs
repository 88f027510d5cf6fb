//! `muniment dev`: a whole network on one machine, through the same parts as anywhere else.
//!
//! Composes the operator's local backend (validators as supervised child processes) with the management API in this
//! process. Owns the order of starting and stopping, and what is shown. Which networks there are is described in the
//! API's store: the one it is started with, and those that `muniment apply` adds.

mod access;
mod directory;
mod judge;
mod keep;
mod resource;
mod screen;
mod start;
mod welcome;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use muniment_api::embedded::Embedded;
use muniment_api::resources::Target;
use muniment_api::{Api, ApiConfig, ServeError};
use muniment_operator::{DataDir, Desired, Local, LocalConfig, Ports};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::context::{Choice, Context};
use crate::error::{Failure, Result, chain};
use crate::files::Shown;
use crate::output::Output;
use crate::stop::{raised, signal};
use directory::Directory;
use judge::Desk;
use keep::Keeper;
use resource::Wanted;
pub use resource::catalog;
use screen::Screen;

/// Requests under way get this long before the validators are stopped too.
const LAST_REQUESTS: Duration = Duration::from_millis(1_000);
/// Validators get this long; SIGKILL comes before.
const LAST_BLOCKS: Duration = Duration::from_millis(3_200);
/// And this long the database. All together less than 5 s.
const LAST_WRITES: Duration = Duration::from_millis(600);

/// Starts a network of four validators and the management API on this machine.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for everything that is kept.
    #[arg(long, value_name = "DIR", default_value = "./muniment-data")]
    data: PathBuf,
    /// Address of the management API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,
    /// A `LedgerNetwork` as YAML, in place of the network `demo/notary` with four validators.
    #[arg(long, value_name = "FILE")]
    network_file: Option<PathBuf>,
}

/// Runs the command until Ctrl-C or SIGTERM.
pub fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let begin = Instant::now();
    if choice.names_cluster() {
        return Err(Failure::usage(
            "not_in_a_cluster",
            "`dev` is a network of its own on this machine, and `--context cluster` names another one",
            "leave --context and MUNIMENT_CONTEXT away, or name a file to write the context to",
        ));
    }
    let wanted = Wanted::read(args.network_file.as_deref())?;
    let screen = Screen::new(output);
    screen.line(&format!(
        "muniment {} · data in {}",
        env!("CARGO_PKG_VERSION"),
        args.data.shown()
    ))?;
    // A new folder isn't left behind by a start that can't be.
    if !args.data.exists() {
        let address = args.listen;
        std::net::TcpListener::bind(address)
            .map_err(|source| taken(address, &ServeError::Listen { address, source }))?;
    }
    let data = DataDir::open(&args.data).map_err(|error| sentence("data_folder", &error))?;
    screen::log_to(&data.path().join("logs"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                "runtime",
                format!("the runtime can't start: {error}"),
                "check the process limits",
            )
        })?;
    let dev = Dev {
        listen: args.listen,
        wanted,
        screen,
        choice,
        begin,
    };
    let result = runtime.block_on(dev.run(data));
    // Nothing is waited for that is still blocked somewhere: all that counts is on disk.
    runtime.shutdown_background();
    result.map(|()| true)
}

/// One run.
struct Dev<'a> {
    listen: SocketAddr,
    wanted: Wanted,
    screen: Screen,
    choice: &'a Choice,
    begin: Instant,
}

impl Dev<'_> {
    async fn run(self, data: DataDir) -> Result<()> {
        let stop = signal()?;
        let root =
            std::path::absolute(data.path()).map_err(|error| crate::error::io("can't find", data.path(), &error))?;
        let database = root.join("muniment.db");
        // Opening it would make a new one with a new signing key, which the sealed network doesn't know.
        if self.wanted.is_sealed(&root) && !database.exists() {
            return Err(lost(&database, &self.wanted.key()));
        }
        let directory = Arc::new(Directory::default());
        let database = format!("sqlite://{}?mode=rwc", database.display());
        let config = ApiConfig::new(self.listen, database, root.join("keys"));
        // A large database is read whole first.
        let api = tokio::select! {
            api = Api::start(config, directory.clone()) => api.map_err(|error| sentence("api", &error))?,
            () = raised(stop.clone()) => return self.screen.line("stopped"),
        };
        // Bound before anything is started, so that a taken port leaves nothing running behind.
        let listener = api.listen().map_err(|error| taken(self.listen, &error))?;
        let address = listener.local_addr().unwrap_or(self.listen);
        let (context, signer) = access::open(&api, &self.wanted, &root, address).await?;
        access::platform(&api, &root, &context.server).await?;
        let desk = Arc::new(Desk::new(self.wanted.network.clone(), catalog()));
        desk.signs(self.wanted.network.tenant.as_str(), &signer);
        let (described, wanted) = self.described(&api, &desk).await?;
        let local = self.supervisor(data)?;
        directory.attach(local.clone(), described.clone());
        let (events, starting) = (local.events(), AtomicBool::new(true));
        let store = api.access();
        let keeper = Keeper {
            keys: store.clone(),
            described,
            desk,
            controller: local.keep(wanted.clone()),
            local: local.clone(),
            root: root.clone(),
            server: context.server.clone(),
        };
        keeper.desk.sees(keeper.controller.outcomes(), local.clone());

        let attended = async {
            let key = self.wanted.key();
            let up = tokio::select! {
                up = start::quorum(&keeper.controller, &key) => up?,
                () = raised(stop.clone()) => return Ok(()),
            };
            let (end, ends) = watch::channel(false);
            let served = api.serve(listener, Box::pin(raised(ends)));
            tokio::pin!(served);
            let shown = async {
                self.ready(&up, &context, &root).await?;
                starting.store(false, Ordering::Relaxed);
                std::future::pending::<Result<()>>().await
            };
            tokio::select! {
                result = &mut served => return result.map_err(|error| sentence("api", &error)),
                result = shown => result?,
                () = raised(stop.clone()) => {}
            }
            self.screen.line("stopping")?;
            end.send_replace(true);
            // Whoever waits for finality may still get it while the validators run.
            let _ = timeout(LAST_REQUESTS, &mut served).await;
            Ok(())
        };
        let result = tokio::select! {
            result = attended => result,
            () = keeper.run(wanted) => Ok(()),
            // Ends early only when the terminal is gone.
            result = self.screen.follow(events, &starting) => result,
        };
        drop(keeper);
        let stopped = timeout(LAST_BLOCKS, local.stop()).await;
        // Also when requests were left that nobody can answer any more. Nothing is lost where it isn't done in time.
        let _ = timeout(LAST_WRITES, store.close()).await;
        if stopped.is_err() {
            self.screen
                .line("some validators did not stop in time; they end with this process")?;
        } else if result.is_ok() {
            self.screen.line("stopped")?;
        }
        result
    }

    /// What is described in the store, with the network that this `dev` was started with.
    async fn described(&self, api: &Api, desk: &Arc<Desk>) -> Result<(Arc<Embedded>, Vec<Desired>)> {
        let store = |error: &(dyn std::error::Error + 'static)| sentence("store", error);
        let described = api
            .keep_descriptions(desk.clone())
            .await
            .map_err(|error| store(&error))?;
        let (tenant, name) = (
            self.wanted.network.tenant.to_string(),
            self.wanted.network.name.to_string(),
        );
        let spec = serde_json::to_value(&self.wanted.resource.spec).unwrap_or_default();
        // A file that can't be used isn't remembered.
        desk.check(&self.wanted.resource)
            .map_err(|error| sentence("bad_network", &error))?;
        for (target, spec, anew) in [
            (Target::Tenant(tenant.clone()), serde_json::json!({}), false),
            (Target::Network(tenant, name), spec, self.wanted.named),
        ] {
            let known = described.all().into_iter().find(|one| one.target == target);
            let spec = match known {
                Some(known) if !anew && !known.deleting => continue,
                // A deletion that had begun is off.
                Some(known) if !anew => known.spec,
                _ => spec,
            };
            described.settle(&target, &spec).await.map_err(|error| store(&error))?;
        }
        let wanted = keep::desired(&described.all(), &api.access(), desk).await?;
        Ok((described, wanted))
    }

    fn supervisor(&self, data: DataDir) -> Result<Arc<Local>> {
        let mut config = LocalConfig::current_program().map_err(|error| {
            Failure::new(
                "program",
                format!("this program's own path is unknown: {error}"),
                "start it by its full path",
            )
        })?;
        config.ports = ports(self.listen);
        let local = Local::start(data, config, catalog()).map_err(|error| sentence("supervisor", &error))?;
        Ok(Arc::new(local))
    }

    /// Says what is there, makes the first receipt, and says what to do next.
    async fn ready(&self, up: &start::Up, context: &Context, root: &Path) -> Result<()> {
        let start::Up {
            validators,
            quorum,
            height,
            deferred,
        } = up;
        let key = self.wanted.key();
        let access::Published { client, trust, aside } = access::publish(self.choice, context).await?;
        if let Some(aside) = aside {
            let aside = aside.shown();
            self.screen.line(&format!(
                "a context file that no `dev` wrote was there: kept as {aside} (use it with MUNIMENT_CONTEXT)"
            ))?;
        }
        let welcome = welcome::run(&client, trust, root).await?;
        // A network without writes makes no blocks: the first one is the welcome's.
        let height = welcome.height.unwrap_or(*height);
        self.screen.line(&format!(
            "network {key}: {validators} validators, height {height}, quorum {quorum} of {validators}"
        ))?;
        for field in deferred {
            self.screen.line(&format!(
                "network {key}: {field}; start with another --data for a new network"
            ))?;
        }
        self.screen.line(&welcome.line)?;
        let seconds = self.begin.elapsed().as_secs_f64();
        let server = &context.server;
        self.screen
            .line(&format!("ready in {seconds:.1} s · API {server} · docs {server}/docs"))?;
        self.screen
            .line("next:  muniment notarize FILE     muniment verify FILE     muniment network status")
    }
}

/// Nodes' ports are looked for just above the API's, so that several `dev` started at once don't look at the same ones.
fn ports(listen: SocketAddr) -> Ports {
    match listen.port() {
        0 => Ports::Any,
        port => Ports::From(port.checked_add(11).filter(|first| *first < 60_000).unwrap_or(8411)),
    }
}

fn taken(listen: SocketAddr, error: &ServeError) -> Failure {
    match error {
        ServeError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => Failure::new(
            "address_taken",
            format!("{listen} is taken by another program"),
            "stop that program, or choose another address with --listen 127.0.0.1:8500",
        ),
        other => Failure::new("listen", chain(other), "choose another address with --listen"),
    }
}

fn lost(database: &Path, network: &str) -> Failure {
    Failure::new(
        "signing_key_lost",
        format!(
            "{} is missing, and with it the key that signs in network {network}; no other key may write there",
            database.shown()
        ),
        "put it back from a backup, or start with another --data for a new network",
    )
}

/// An error of a library as a sentence and a next step: our libraries put the step behind a semicolon. The outermost
/// error that knows one counts: what is below it is the reason.
fn sentence(code: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let (mut what, mut next) = (Vec::new(), None);
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        match text.split_once("; ") {
            Some((said, step)) if next.is_none() => {
                what.push(said.to_owned());
                next = Some(step.to_owned());
            }
            // Some libraries repeat their cause.
            _ if what.last().is_some_and(|before| before.ends_with(&text)) => {}
            _ => what.push(text),
        }
        cause = inner.source();
    }
    let next = next.unwrap_or_else(|| "see the logs in the data folder".to_owned());
    Failure::new(code, what.join(": "), next)
}
