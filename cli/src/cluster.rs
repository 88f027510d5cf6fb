//! `--context cluster`: the management API in the Kubernetes that the user's kubeconfig names.
//!
//! The tenant's API key is read from the tenant's namespace with the user's own rights, and the API is reached through
//! a port that Kubernetes forwards, so neither an Ingress nor a file is needed.

use futures::TryFutureExt;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::ListParams;
use kube::{Api, Client, Config, ResourceExt};
use muniment_crds::LedgerNetwork;
use tokio::net::{TcpListener, TcpStream};

use crate::context::{Choice, Context};
use crate::error::{Failure, Result, chain};

/// Secret in a tenant's namespace that the API fills.
const ACCESS: &str = "muniment-access";

/// The context of the cluster. What forwards the port runs for as long as this process.
///
/// # Errors
/// When the cluster, the tenant or the API can't be reached.
pub fn open(choice: &Choice) -> Result<Context> {
    let failed = |why: String| {
        Failure::new(
            "runtime",
            format!("the runtime can't start: {why}"),
            "check the process limits",
        )
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let choice = choice.clone();
    // A thread of its own: the caller may be in a runtime, which can't wait for another.
    let opened = std::thread::spawn(move || {
        let context = runtime.block_on(connect(&choice));
        (runtime, context)
    });
    let (runtime, context) = opened.join().map_err(|_| failed("it broke".to_owned()))?;
    // Dropped, it would stop forwarding.
    std::mem::forget(runtime);
    context
}

async fn connect(choice: &Choice) -> Result<Context> {
    let config = Config::infer().map_err(|error| unreachable(&error)).await?;
    let (kubernetes, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| unreachable(&error))?;
    let tenant = match &choice.tenant {
        Some(tenant) => tenant.clone(),
        None if namespace != "default" => namespace,
        None => {
            return Err(Failure::usage(
                "no_tenant",
                "no tenant is named",
                "name one with --tenant, or make its namespace the kubeconfig's: kubectl config set-context --current --namespace TENANT",
            ));
        }
    };
    let access = Access::read(&client, &tenant).await?;
    let network = match &choice.network {
        Some(network) => network.clone(),
        None => only_network(&client, &tenant).await?,
    };
    let server = match &access.server {
        Some(url) => url.clone(),
        None => forward(client, &access).await?,
    };
    Ok(Context {
        version: 1,
        server,
        api_key: access.api_key,
        tenant,
        network,
        trust_root: None,
        data_dir: None,
        // The forwarded port is another one each time; what was seen before is known by this.
        identity: Some(format!("{}/{}", kubernetes.trim_end_matches('/'), access.service)),
    })
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::usage(
        "no_kubernetes",
        format!("the Kubernetes cluster can't be used: {}", chain(error)),
        "try `kubectl get tenants`; KUBECONFIG and the current context of kubectl choose the cluster",
    )
}

/// What the API wrote for the tenant.
struct Access {
    api_key: String,
    server: Option<String>,
    service: String,
}

impl Access {
    async fn read(client: &Client, tenant: &str) -> Result<Self> {
        let secret: Option<Secret> = Api::namespaced(client.clone(), tenant)
            .get_opt(ACCESS)
            .await
            .map_err(|error| denied(&error, &format!("Secret {tenant}/{ACCESS}")))?;
        let Some(secret) = secret else {
            return Err(Failure::new(
                "no_access",
                format!(
                    "there is no tenant {tenant} in this cluster, or it isn't ready: Secret {tenant}/{ACCESS} is missing"
                ),
                format!("see `kubectl get tenants` and `kubectl describe tenant {tenant}`"),
            ));
        };
        let field = |name: &str| {
            let bytes = secret.data.as_ref()?.get(name)?;
            String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
        };
        match (field("apiKey"), field("service")) {
            (Some(api_key), Some(service)) => Ok(Self {
                api_key,
                server: field("server"),
                service,
            }),
            _ => Err(Failure::new(
                "no_access",
                format!("Secret {tenant}/{ACCESS} is still empty: the management API has not filled it yet"),
                "wait a moment; then see the log of the API: kubectl logs -n muniment -l app.kubernetes.io/component=api",
            )),
        }
    }
}

fn denied(error: &kube::Error, what: &str) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 403 => Failure::new(
            "forbidden",
            format!("your Kubernetes user may not use {what}"),
            "ask whoever runs the cluster, or use an API key: set MUNIMENT_SERVER and MUNIMENT_API_KEY",
        ),
        other => unreachable(other),
    }
}

/// The tenant's network, if there is one only.
async fn only_network(client: &Client, tenant: &str) -> Result<String> {
    let networks = Api::<LedgerNetwork>::namespaced(client.clone(), tenant)
        .list(&ListParams::default())
        .await
        .map_err(|error| denied(&error, &format!("the networks of {tenant}")))?;
    let names: Vec<String> = networks.iter().map(ResourceExt::name_any).collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        [] => Err(Failure::usage(
            "no_network",
            format!("tenant {tenant} has no network"),
            "make one: kubectl apply -f a LedgerNetwork; `kubectl explain ledgernetwork.spec` says how",
        )),
        _ => Err(Failure::usage(
            "no_network",
            format!("tenant {tenant} has several networks: {}", names.join(", ")),
            "name one with --network",
        )),
    }
}

/// Forwards a port of this machine to the API for as long as this process lives. Answers the URL.
async fn forward(client: Client, access: &Access) -> Result<String> {
    let bad = || {
        Failure::new(
            "no_access",
            format!("`{}` is not `namespace/name:port`", access.service),
            "delete the data of the Secret muniment-access; the API fills it again",
        )
    };
    let (namespace, rest) = access.service.split_once('/').ok_or_else(bad)?;
    let (service, port) = rest.split_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let selector = selector(&client, namespace, service).await?;
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    // Asked once before anything is sent, so that what is wrong is said.
    ready_pod(&pods, &selector).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(|error| Failure::new("listen", format!("no local port can be opened: {error}"), ""))?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new("listen", format!("the local port is unknown: {error}"), ""))?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (pods, selector) = (pods.clone(), selector.clone());
            tokio::spawn(async move {
                // The client sees a broken connection and tries again; why is known to who asks for it.
                if let Err(error) = carry(&pods, &selector, port, connection).await {
                    tracing::debug!(%error, "a forwarded connection broke");
                }
            });
        }
    });
    Ok(format!("http://{address}"))
}

async fn selector(client: &Client, namespace: &str, name: &str) -> Result<String> {
    let service: Service = Api::namespaced(client.clone(), namespace)
        .get(name)
        .await
        .map_err(|error| denied(&error, &format!("Service {namespace}/{name}")))?;
    let labels = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(pairs.join(","))
}

async fn ready_pod(pods: &Api<Pod>, selector: &str) -> Result<String> {
    let found = pods
        .list(&ListParams::default().labels(selector))
        .await
        .map_err(|error| denied(&error, "the pods of the management API"))?;
    let ready = found.iter().find(|pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    });
    ready.map(ResourceExt::name_any).ok_or_else(|| {
        Failure::new(
            "unreachable",
            "no pod of the management API is ready",
            "see `kubectl get pods -A -l app.kubernetes.io/component=api`",
        )
    })
}

async fn carry(pods: &Api<Pod>, selector: &str, port: u16, mut connection: TcpStream) -> Result<()> {
    let broken = |what: String| Failure::new("unreachable", what, "");
    let pod = ready_pod(pods, selector).await?;
    let mut forwarder = pods
        .portforward(&pod, &[port])
        .await
        .map_err(|error| denied(&error, &format!("port-forward to {pod}")))?;
    let mut stream = forwarder
        .take_stream(port)
        .ok_or_else(|| broken(format!("port {port} isn't forwarded")))?;
    tokio::io::copy_bidirectional(&mut connection, &mut stream)
        .await
        .map_err(|error| broken(error.to_string()))?;
    drop(stream);
    forwarder.join().await.map_err(|error| broken(error.to_string()))
}
