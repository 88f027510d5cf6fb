//! Hosts of a stand-in cluster: four pods that see their Secrets as a kubelet brings them, and answer for the seats in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{FakeCluster, Key, State};

const SPACE: &str = "muniment";
const NAME: &str = "muniment-host";
/// Hosts come behind the pods of networks.
const FIRST: u64 = 16;

/// By pod: the annotation with which it was mounted, and the files.
pub type Mounts = BTreeMap<String, (Value, BTreeMap<String, Vec<u8>>)>;

pub fn listeners(first: Ipv4Addr) -> Option<Vec<TcpListener>> {
    let [a, b, c, d] = first.octets();
    let address = |host: u8| SocketAddr::from(([a, b, c, d + 16 + host], 8411));
    (0..4).map(|host| TcpListener::bind(address(host)).ok()).collect()
}

/// Place of a host's pod among the addresses; `None` for any other StatefulSet.
pub fn number(set: &str) -> Option<u64> {
    let host: u64 = set.strip_prefix(NAME)?.strip_prefix('-')?.parse().ok()?;
    Some(FIRST + host)
}

/// Name of the container in a set's pods.
pub fn container(set: &str) -> &'static str {
    if number(set).is_some() { "host" } else { "validator" }
}

fn at(plural: &str, name: &str) -> Key {
    (plural.to_owned(), SPACE.to_owned(), name.to_owned())
}

impl FakeCluster {
    /// What the chart makes.
    pub fn install_hosts(&self) {
        let mut state = self.lock();
        let labels = json!({ "app.kubernetes.io/component": "host" });
        for host in 0..4 {
            for part in 0..4 {
                let name = format!("{NAME}-{host}-seats-{part}");
                let secret = json!({ "metadata": { "name": name, "namespace": SPACE } });
                state.put(&at("secrets", &name), secret);
            }
            let name = format!("{NAME}-{host}");
            let set = json!({ "metadata": { "name": name, "namespace": SPACE, "labels": labels, "generation": 1 },
                "spec": { "replicas": 1, "template": { "metadata": { "labels": labels }, "spec": {} },
                          "volumeClaimTemplates": [{ "metadata": {}, "spec": {} }] } });
            state.put(&at("statefulsets", &name), set);
        }
        let ports = json!({ "metadata": { "name": format!("{NAME}-ports"), "namespace": SPACE } });
        state.put(&at("configmaps", &format!("{NAME}-ports")), ports);
        super::settle(&mut state, self.pods);
    }

    /// Name of the hosts, if they are installed.
    pub fn hosts(&self) -> Option<String> {
        self.own("configmaps", &format!("{NAME}-ports"))
            .map(|_| NAME.to_owned())
    }

    /// Files of all seats in a host, as its Secrets have them.
    pub fn seats(&self, host: usize) -> BTreeMap<String, Vec<u8>> {
        files(&self.lock(), host)
    }

    /// An object of the control plane.
    pub fn own(&self, plural: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&at(plural, name)).cloned()
    }

    /// A hand that changes an object of the control plane.
    pub fn edit_own(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        let at = at(plural, name);
        let mut object = state.objects[&at].clone();
        change(&mut object);
        state.put(&at, object);
        super::settle(&mut state, self.pods);
    }

    /// A hand that deletes an object of the control plane.
    pub fn delete_own(&self, plural: &str, name: &str) {
        let mut state = self.lock();
        state.take(&at(plural, name)).expect("there is such an object");
        super::settle(&mut state, self.pods);
    }

    /// A host is made anew between the next look at the hosts' pods and the one after it.
    pub fn make_anew_after_a_look(&self, host: usize) {
        self.lock().restless = Some(at("pods", &format!("{NAME}-{host}-0")));
    }

    /// The hosts' Secrets reach no pod that runs, or do again.
    pub fn stop_kubelets(&self, stopped: bool) {
        let mut state = self.lock();
        state.kubelets_stopped = stopped;
        super::settle(&mut state, self.pods);
    }

    /// A host loses its power, or gets it back.
    pub fn power(&self, host: usize, on: bool) {
        let mut state = self.lock();
        let at = at("statefulsets", &format!("{NAME}-{host}"));
        let mut set = state.objects.get(&at).unwrap().clone();
        set["spec"]["replicas"] = json!(u8::from(on));
        state.put(&at, set);
        super::settle(&mut state, self.pods);
    }
}

fn files(state: &State, host: usize) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for part in 0..4 {
        let Some(secret) = state
            .objects
            .get(&at("secrets", &format!("{NAME}-{host}-seats-{part}")))
        else {
            continue;
        };
        for (name, file) in secret["data"].as_object().into_iter().flatten() {
            let bytes = base64::engine::general_purpose::STANDARD.decode(file.as_str().unwrap());
            all.insert(name.clone(), bytes.unwrap());
        }
    }
    all
}

/// The kubelets: a pod gets what its Secrets say when it starts, and when its annotation changes.
pub fn mount(state: &mut State) {
    for host in 0..4 {
        let name = format!("{NAME}-{host}-0");
        let Some(pod) = state.objects.get(&at("pods", &name)) else {
            state.mounts.remove(&name);
            continue;
        };
        let told = pod["metadata"]["annotations"]["muniment.dev/seats"].clone();
        if state.kubelets_stopped && state.mounts.contains_key(&name) {
            continue;
        }
        if state.mounts.get(&name).is_none_or(|(before, _)| *before != told) {
            let files = files(state, host);
            state.mounts.insert(name, (told, files));
        }
    }
}

pub async fn serve(listeners: Vec<TcpListener>, cluster: web::Data<FakeCluster>) -> std::io::Result<()> {
    let app = move || {
        App::new()
            .app_data(cluster.clone())
            .route("/n/{seat}/seat", web::get().to(seat))
            .route("/n/{seat}/v1/status", web::get().to(status))
            .route("/erased/{folder}", web::get().to(erased))
            .route("/readyz", web::get().to(whole))
    };
    let mut server = HttpServer::new(app).workers(1).disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    server.run().await
}

/// The files that the asked host sees.
fn mounted<'a>(
    state: &'a State,
    cluster: &FakeCluster,
    request: &HttpRequest,
) -> Option<&'a BTreeMap<String, Vec<u8>>> {
    let host = request.connection_info().host().to_owned();
    let ip: Ipv4Addr = host.split(':').next()?.parse().ok()?;
    let number = u64::from(ip.octets()[3] - cluster.pods.octets()[3]) - FIRST;
    Some(&state.mounts.get(&format!("{NAME}-{number}-0"))?.1)
}

enum Found {
    Taken {
        replica: Value,
        settings: String,
        genesis: Vec<u8>,
    },
    Not(HttpResponse),
}

fn find(state: &State, cluster: &FakeCluster, request: &HttpRequest, seat: &str) -> Found {
    let not = |answer: HttpResponse| Found::Not(answer);
    let Some(files) = mounted(state, cluster, request) else {
        return not(HttpResponse::BadGateway().finish());
    };
    let Some(settings) = files.get(&format!("{seat}.replica.json")) else {
        return not(HttpResponse::NotFound().finish());
    };
    let replica: Value = serde_json::from_slice(settings).unwrap();
    let bearer = request.headers().get("authorization").and_then(|v| v.to_str().ok());
    if bearer != Some(&format!("Bearer {}", replica["token"].as_str().unwrap())) {
        return not(HttpResponse::Unauthorized().finish());
    }
    assert!(files.contains_key(&format!("{seat}.keys.json")), "a seat has its keys");
    Found::Taken {
        replica,
        settings: hex::encode(Sha256::digest(settings)),
        genesis: files[&format!("{seat}.genesis.json")].clone(),
    }
}

async fn seat(cluster: web::Data<FakeCluster>, request: HttpRequest, seat: web::Path<String>) -> HttpResponse {
    let state = cluster.lock();
    match find(&state, &cluster, &request, &seat) {
        Found::Not(answer) => answer,
        Found::Taken { replica, settings, .. } => {
            let name = format!("notary-{}", replica["name"].as_str().unwrap());
            let restarts = state.restarts.get(&name).copied().unwrap_or_default();
            let last = (restarts > 0).then_some("killed by signal 9");
            HttpResponse::Ok()
                .json(json!({ "settings": settings, "state": "running", "restarts": restarts, "lastExit": last }))
        }
    }
}

async fn status(cluster: web::Data<FakeCluster>, request: HttpRequest, seat: web::Path<String>) -> HttpResponse {
    let state = cluster.lock();
    match find(&state, &cluster, &request, &seat) {
        Found::Not(answer) => answer,
        Found::Taken { replica, genesis, .. } => {
            let name = replica["name"].as_str().unwrap();
            let (voting, votes) = (!state.held.contains(name), 4 - state.held.len());
            HttpResponse::Ok().json(json!({
                "network": hex::encode(Sha256::digest(genesis)), "name": name, "version": "0",
                "height": replica["limits"]["blockActions"], "stateRoot": "", "logSize": 1, "time": 0, "peers": [],
                "validators": 4, "quorum": 3, "mempool": 0, "voting": voting, "ready": voting && votes >= 3 }))
        }
    }
}

/// Every validator in the host takes part.
async fn whole(cluster: web::Data<FakeCluster>, request: HttpRequest) -> HttpResponse {
    let state = cluster.lock();
    let out = mounted(&state, &cluster, &request).is_none_or(|files| {
        let replicas = files.iter().filter(|(name, _)| name.ends_with(".replica.json"));
        let mut names = replicas.map(|(_, file)| serde_json::from_slice::<Value>(file).unwrap()["name"].clone());
        names.any(|name| state.held.contains(name.as_str().unwrap()))
    });
    if out {
        HttpResponse::ServiceUnavailable().finish()
    } else {
        HttpResponse::Ok().finish()
    }
}

/// A host erases at once what it sees an order for.
async fn erased(cluster: web::Data<FakeCluster>, request: HttpRequest, folder: web::Path<String>) -> HttpResponse {
    let state = cluster.lock();
    let ordered: BTreeSet<&String> = mounted(&state, &cluster, &request)
        .into_iter()
        .flat_map(BTreeMap::keys)
        .collect();
    if ordered.contains(&format!("{folder}.erase")) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().finish()
    }
}
