//! A stand-in for a Kubernetes API server with one StatefulSet controller and a kubelet, as far as the cluster backend
//! needs them: objects as JSON, labels, preconditions, server-side apply as a merge, immutable maps, and pods whose
//! nodes answer. Counts writes, and can go down after some number of them.
#![allow(dead_code)]

#[path = "fake_hosts.rs"]
mod fake_hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

#[path = "fake_ledger.rs"]
mod fake_ledger;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use muniment_receipts::trust::TrustRoot;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[path = "fake_tls.rs"]
mod fake_tls;

use fake_tls::Mounted;

/// Where an object is: plural, namespace, name.
type Key = (String, String, String);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    clock: u64,
    writes: Vec<String>,
    /// After so many writes the server is gone.
    limit: Option<usize>,
    held: BTreeSet<String>,
    /// Pods that do their part and don't answer the operator.
    silent: BTreeSet<String>,
    restarts: BTreeMap<String, u32>,
    /// What watches are told: version, type, where, object.
    events: Vec<(u64, &'static str, Key, Value)>,
    /// What the kubelets have brought to the hosts.
    mounts: fake_hosts::Mounts,
    /// They bring nothing new.
    kubelets_stopped: bool,
    /// A host's pod that is made anew right after the hosts' pods are looked at next.
    restless: Option<Key>,
    /// Reads of single objects, by plural and name.
    reads: BTreeMap<String, usize>,
    /// Who the validators are, from the sealed genesis on.
    ledger: Option<TrustRoot>,
}

impl State {
    /// The ledger of the genesis that is sealed.
    fn ledger(&mut self) -> Option<&mut TrustRoot> {
        let map = self.objects.get(&key("configmaps", "notary-genesis"))?;
        let genesis = Genesis::parse(map["data"]["genesis.json"].as_str()?.as_bytes()).unwrap();
        let known = self.ledger.take().filter(|known| *known.genesis() == genesis);
        Some(
            self.ledger
                .insert(known.unwrap_or_else(|| TrustRoot::new(genesis).unwrap())),
        )
    }

    /// Puts an object in place as a new version of it, and tells the watches.
    fn put(&mut self, at: &Key, mut object: Value) -> Value {
        self.clock += 1;
        object["metadata"]["resourceVersion"] = json!(self.clock.to_string());
        let before = self.objects.insert(at.clone(), object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.events.push((self.clock, kind, at.clone(), object.clone()));
        object
    }

    /// Takes an object away, or marks it as going while somebody has to put things away first.
    fn take(&mut self, at: &Key) -> Option<Value> {
        let found = self.objects.get(at)?.clone();
        let held = found["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if held && found["metadata"]["deletionTimestamp"].is_null() {
            let mut going = found;
            going["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
            return Some(self.put(at, going));
        }
        if held {
            return Some(found);
        }
        self.clock += 1;
        self.objects.remove(at);
        self.events.push((self.clock, "DELETED", at.clone(), found.clone()));
        Some(found)
    }
}

/// The stand-in. Clones share it; it serves until the process ends.
#[derive(Clone)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
    url: String,
    pods: Ipv4Addr,
}

impl FakeCluster {
    pub fn start() -> Self {
        static COUNTER: AtomicU8 = AtomicU8::new(0);
        let process = std::process::id().to_le_bytes();
        let (listeners, hosts, pods) = std::iter::repeat_with(|| {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let first = Ipv4Addr::new(127, 64 | (process[0] & 63), number, 1);
            Some((listeners(first)?, fake_hosts::listeners(first)?, first))
        })
        .take(250)
        .flatten()
        .next()
        .expect("eight free addresses");
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", own.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let cluster = Self { state, url, pods };
        let shared = || web::Data::new(cluster.clone());
        let (data, nodes, seats) = (shared(), shared(), shared());
        let secrets = Mounted(cluster.clone());
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let api = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(serve)));
                let api = api.workers(1).disable_signals().listen(own).unwrap().run();
                let app = move || {
                    App::new()
                        .app_data(nodes.clone())
                        .route("/v1/status", web::get().to(status))
                        .route("/v1/trust-root", web::get().to(trust_root))
                };
                let mut nodes = HttpServer::new(app).workers(1).disable_signals();
                for (plain, secure) in listeners {
                    nodes = nodes.listen(plain).unwrap();
                    nodes = nodes.listen_rustls_0_23(secure, secrets.server()).unwrap();
                }
                let _ = futures::join!(api, nodes.run(), fake_hosts::serve(hosts, seats));
            });
        });
        cluster
    }

    pub async fn client(&self) -> kube::Client {
        let config = kube::Config::new(self.url.parse().unwrap());
        kube::Client::try_from(config).unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Every write so far, as `VERB plural/name`.
    pub fn writes(&self) -> Vec<String> {
        self.lock().writes.clone()
    }

    /// The server goes down after so many more writes; `None` brings it back.
    pub fn down_after(&self, writes: Option<usize>) {
        let mut state = self.lock();
        state.limit = writes.map(|more| state.writes.len() + more);
    }

    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&key(plural, name)).cloned()
    }

    /// How often an object was read.
    pub fn reads(&self, plural: &str, name: &str) -> usize {
        let reads = self.lock().reads.get(&format!("{plural}/{name}")).copied();
        reads.unwrap_or_default()
    }

    pub fn names(&self, plural: &str) -> Vec<String> {
        let state = self.lock();
        state
            .objects
            .keys()
            .filter(|key| key.0 == plural)
            .map(|key| key.2.clone())
            .collect()
    }

    /// A hand that changes an object.
    pub fn edit(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        let at = key(plural, name);
        let mut object = state.objects.get(&at).expect("there is such an object").clone();
        change(&mut object);
        state.put(&at, object);
        settle(&mut state, self.pods);
    }

    /// A hand that deletes an object.
    pub fn delete(&self, plural: &str, name: &str) {
        let mut state = self.lock();
        state.take(&key(plural, name)).expect("there is such an object");
        settle(&mut state, self.pods);
    }

    /// A hand that deletes the StatefulSet and leaves its pods running.
    pub fn abandon_pods(&self) {
        let mut state = self.lock();
        state.take(&key("statefulsets", "notary-validator")).unwrap();
        let pods: Vec<Key> = state.objects.keys().filter(|key| key.0 == "pods").cloned().collect();
        for at in pods {
            let mut pod = state.objects[&at].clone();
            pod["metadata"]["ownerReferences"] = Value::Null;
            state.put(&at, pod);
        }
    }

    /// The ledger decides that a validator joins, or leaves.
    pub fn decide(&self, validator: &ValidatorKeys, joins: bool) {
        let mut state = self.lock();
        let secrets: BTreeMap<String, Value> = state
            .objects
            .iter()
            .filter(|(at, _)| at.0 == "secrets")
            .map(|(at, secret)| (at.2.clone(), secret["data"]["keys.json"].clone()))
            .collect();
        let keys = |name: &str| {
            let file = decoded(&secrets[&format!("notary-{name}-keys")]);
            serde_json::from_slice(&file).unwrap()
        };
        let ledger = state.ledger().expect("a genesis is sealed");
        let mut next = ledger.newest().validators().to_vec();
        if joins {
            next.push(validator.clone());
        } else {
            next.retain(|one| one != validator);
        }
        fake_ledger::change(ledger, next, keys);
    }

    pub fn hold(&self, validator: &str, held: bool) {
        let mut state = self.lock();
        if held {
            state.held.insert(validator.to_owned());
        } else {
            state.held.remove(validator);
        }
        settle(&mut state, self.pods);
    }

    /// Makes the network one from before nodes had certificates: pods without the port, and no Secrets of them.
    pub fn age(&self) {
        let mut state = self.lock();
        for secret in ["notary-tls", "notary-ca"] {
            state.take(&key("secrets", secret)).unwrap();
        }
        let pods: Vec<Key> = state.objects.keys().filter(|key| key.0 == "pods").cloned().collect();
        for at in pods {
            let mut pod = state.objects[&at].clone();
            pod["spec"]["containers"][0]["ports"] = json!([{ "name": "api", "containerPort": 8410 }]);
            pod["metadata"]["annotations"]["muniment.dev/template"] = json!("from before");
            pod["metadata"]["annotations"]["muniment.dev/revision"] = json!("from before");
            state.put(&at, pod);
        }
    }

    /// The pods' nodes answer nobody; their own probes go on.
    pub fn silence(&self, pods: &[&str]) {
        self.lock().silent = pods.iter().map(|pod| (*pod).to_owned()).collect();
    }

    pub fn kill(&self, validator: &str) {
        let mut state = self.lock();
        *state.restarts.entry(format!("notary-{validator}")).or_default() += 1;
        settle(&mut state, self.pods);
    }
}

/// Of each pod its plain port and that of TLS.
fn listeners(first: Ipv4Addr) -> Option<Vec<(TcpListener, TcpListener)>> {
    let bind = |i: u8, port: u16| {
        let [a, b, c, d] = first.octets();
        TcpListener::bind(SocketAddr::from(([a, b, c, d + i], port))).ok()
    };
    (0..8).map(|i| Some((bind(i, 8410)?, bind(i, 8411)?))).collect()
}

/// Objects of the tests are in the namespace `demo`, or in none.
fn key(plural: &str, name: &str) -> Key {
    let space = if ["tenants", "namespaces"].contains(&plural) {
        ""
    } else {
        "demo"
    };
    (plural.to_owned(), space.to_owned(), name.to_owned())
}

fn failure(code: u16, reason: &str, message: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(code).unwrap()).json(json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
    }))
}

/// `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NS/]PLURAL[/NAME[/status]]`. Empty where there is nothing.
fn parse(path: &str) -> Option<Key> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => return None,
    };
    let rest = rest.strip_suffix(&["status"]).unwrap_or(rest);
    let at = |plural: &str, space: &str, name: &str| Some((plural.to_owned(), space.to_owned(), name.to_owned()));
    match rest {
        [plural] => at(plural, "", ""),
        [plural, name] => at(plural, "", name),
        ["namespaces", space, plural] => at(plural, space, ""),
        ["namespaces", space, plural, name] => at(plural, space, name),
        _ => None,
    }
}

async fn serve(cluster: web::Data<FakeCluster>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some(at) = parse(request.path()) else {
        return failure(404, "NotFound", "no such path");
    };
    let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string())
        .unwrap()
        .into_inner();
    if query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
        return watch(cluster.get_ref().clone(), at, &query);
    }
    let mut state = cluster.lock();
    if state.limit.is_some_and(|limit| state.writes.len() >= limit) {
        return failure(500, "InternalError", "the API server is down");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let kind = request
        .headers()
        .get("content-type")
        .map(|v| v.to_str().unwrap().to_owned());
    let answer = match (request.method().as_str(), at.2.is_empty()) {
        ("GET", true) => {
            let answer = list(&state, &at, &query);
            if state
                .restless
                .as_ref()
                .is_some_and(|pod| (&pod.0, &pod.1) == (&at.0, &at.1))
            {
                let pod = state.restless.take();
                pod.and_then(|pod| state.take(&pod));
            }
            answer
        }
        ("GET", false) => {
            *state.reads.entry(format!("{}/{}", at.0, at.2)).or_default() += 1;
            match state.objects.get(&at) {
                Some(found) => HttpResponse::Ok().json(found),
                None => failure(404, "NotFound", "no such object"),
            }
        }
        ("POST", _) => create(&mut state, &at, body),
        ("PATCH", _) => patch(&mut state, &at, body, kind.unwrap_or_default().contains("apply-patch")),
        ("DELETE", _) => delete(&mut state, &at, &body),
        _ => failure(405, "MethodNotAllowed", "not in this stand-in"),
    };
    settle(&mut state, cluster.pods);
    answer
}

/// Which objects a list or a watch is about.
struct Scope {
    plural: String,
    space: String,
    labels: Vec<(String, Option<String>)>,
}

impl Scope {
    fn new(at: &Key, query: &BTreeMap<String, String>) -> Self {
        let selector = query.get("labelSelector").cloned().unwrap_or_default();
        let one = |text: &str| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let labels = selector.split(',').filter(|text| !text.is_empty()).map(one).collect();
        Self {
            plural: at.0.clone(),
            space: at.1.clone(),
            labels,
        }
    }

    fn fits(&self, at: &Key, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        let labels = self.labels.iter().all(|(key, value)| match value {
            Some(value) => label(key) == Some(value),
            None => label(key).is_some(),
        });
        at.0 == self.plural && (self.space.is_empty() || at.1 == self.space) && labels
    }
}

/// Tells what happens from a version on, until the connection ends.
fn watch(cluster: FakeCluster, at: Key, query: &BTreeMap<String, String>) -> HttpResponse {
    let since: u64 = query
        .get("resourceVersion")
        .and_then(|v| v.parse().ok())
        .unwrap_or_default();
    let scope = Scope::new(&at, query);
    let lines = futures::stream::unfold((cluster, scope, since), |(cluster, scope, since)| async move {
        loop {
            let (text, now) = {
                let state = cluster.lock();
                let new = state.events.iter().filter(|(version, ..)| *version > since);
                let mine = new.filter(|(_, _, at, object)| scope.fits(at, object));
                let text: String = mine
                    .map(|(_, kind, _, object)| format!("{}\n", json!({ "type": kind, "object": object })))
                    .collect();
                (text, state.clock)
            };
            if !text.is_empty() {
                return Some((Ok::<_, std::io::Error>(web::Bytes::from(text)), (cluster, scope, now)));
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    HttpResponse::Ok()
        .content_type("application/json")
        .streaming(Box::pin(lines))
}

fn list(state: &State, at: &Key, query: &BTreeMap<String, String>) -> HttpResponse {
    let scope = Scope::new(at, query);
    let here = state.objects.iter().filter(|(key, object)| scope.fits(key, object));
    let items: Vec<&Value> = here.map(|(_, object)| object).collect();
    let metadata = json!({ "resourceVersion": state.clock.to_string() });
    HttpResponse::Ok().json(json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }))
}

fn born(state: &mut State, object: &mut Value) {
    state.clock += 1;
    object["metadata"]["uid"] = json!(format!("uid-{}", state.clock));
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
}

fn create(state: &mut State, at: &Key, mut body: Value) -> HttpResponse {
    let name = body["metadata"]["name"]
        .as_str()
        .map_or_else(|| format!("made-{}", state.clock), str::to_owned);
    let at = (at.0.clone(), at.1.clone(), name.clone());
    if state.objects.contains_key(&at) {
        return failure(409, "AlreadyExists", "the object is there already");
    }
    body["metadata"]["name"] = json!(name);
    if !at.1.is_empty() {
        body["metadata"]["namespace"] = json!(at.1);
    }
    born(state, &mut body);
    state.writes.push(format!("POST {}/{}", at.0, at.2));
    HttpResponse::Created().json(state.put(&at, body))
}

fn patch(state: &mut State, at: &Key, mut body: Value, apply: bool) -> HttpResponse {
    let before = state.objects.get(at).cloned();
    let mut object = match (&before, apply) {
        (Some(found), _) => found.clone(),
        (None, true) => {
            let mut object = json!({});
            born(state, &mut object);
            object
        }
        (None, false) => return failure(404, "NotFound", "no such object"),
    };
    let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
    let wanted = metadata.and_then(|metadata| metadata.remove("resourceVersion"));
    if wanted.is_some_and(|version| !version.is_null() && version != object["metadata"]["resourceVersion"]) {
        return failure(409, "Conflict", "the object has been changed");
    }
    merge(&mut object, body, apply);
    if !at.1.is_empty() {
        object["metadata"]["namespace"] = json!(at.1);
    }
    if let Some(before) = &before {
        if before["immutable"] == true && before["data"] != object["data"] {
            return failure(422, "Invalid", "the object is immutable");
        }
        if before["spec"] != object["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(1);
            object["metadata"]["generation"] = json!(generation + 1);
        }
    }
    state.writes.push(format!("PATCH {}/{}", at.0, at.2));
    let object = state.put(at, object);
    let held = object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty());
    if !object["metadata"]["deletionTimestamp"].is_null() && !held {
        state.take(at);
    }
    HttpResponse::Ok().json(object)
}

/// Objects are merged and everything else is replaced. Maps of data that are applied are replaced too: who applies them
/// owns them here.
fn merge(into: &mut Value, from: Value, apply: bool) {
    if from.is_object() && into.is_null() {
        *into = json!({});
    }
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else if key == "data" && apply {
                    into.insert(key, value);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value, apply);
                }
            }
        }
        (into, from) => *into = from,
    }
}

fn delete(state: &mut State, at: &Key, options: &Value) -> HttpResponse {
    let Some(found) = state.objects.get(at) else {
        return failure(404, "NotFound", "no such object");
    };
    let uid = &options["preconditions"]["uid"];
    if !uid.is_null() && *uid != found["metadata"]["uid"] {
        return failure(409, "Conflict", "another object has this name now");
    }
    state.writes.push(format!("DELETE {}/{}", at.0, at.2));
    HttpResponse::Ok().json(state.take(at))
}

/// The StatefulSet controller and the kubelets: pods as the sets want them, each running.
fn settle(state: &mut State, first: Ipv4Addr) {
    let sets = state.objects.iter().filter(|(key, _)| key.0 == "statefulsets");
    let sets: Vec<Value> = sets.map(|(_, set)| set.clone()).collect();
    let mut wanted = BTreeSet::new();
    for set in &sets {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, space) = (text(&set["metadata"]["name"]), text(&set["metadata"]["namespace"]));
        let first_number = set["spec"]["ordinals"]["start"].as_u64().unwrap_or(0);
        for index in first_number..first_number + set["spec"]["replicas"].as_u64().unwrap() {
            let at = ("pods".to_owned(), space.clone(), format!("{name}-{index}"));
            volume(state, &space, &at.2, &set["spec"]["volumeClaimTemplates"][0]);
            let restarts = state.restarts.get(&at.2).copied().unwrap_or_default();
            let [a, b, c, d] = first.octets();
            let place = fake_hosts::number(&name).unwrap_or(index);
            let ip = Ipv4Addr::new(a, b, c, d + u8::try_from(place).unwrap());
            let mut pod = state.objects.get(&at).cloned().unwrap_or_else(|| new_pod(set, &at));
            if pod["metadata"]["uid"].is_null() {
                born(state, &mut pod);
            }
            let last = if restarts > 0 {
                json!({ "terminated": { "exitCode": 137 } })
            } else {
                json!({})
            };
            let held = state.held.iter().any(|validator| at.2.ends_with(validator));
            pod["status"] = json!({ "phase": "Running", "podIP": ip.to_string(),
                "conditions": [{ "type": "Ready", "status": if held { "False" } else { "True" } }],
                "containerStatuses": [{ "name": fake_hosts::container(&name), "image": "", "imageID": "", "ready": true,
                    "restartCount": restarts, "state": { "running": {} }, "lastState": last }] });
            if state.objects.get(&at) != Some(&pod) {
                state.put(&at, pod);
            }
            wanted.insert(at);
        }
    }
    let of_sets = state
        .objects
        .iter()
        .filter(|(_, pod)| !pod["metadata"]["ownerReferences"].is_null());
    let pods = of_sets
        .map(|(at, _)| at)
        .filter(|key| key.0 == "pods" && !wanted.contains(*key));
    for at in pods.cloned().collect::<Vec<_>>() {
        state.take(&at);
    }
    fake_hosts::mount(state);
}

fn new_pod(set: &Value, at: &Key) -> Value {
    let template = &set["spec"]["template"];
    let mut pod =
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"] });
    pod["metadata"]["name"] = json!(at.2);
    pod["metadata"]["namespace"] = json!(at.1);
    pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "controller": true,
        "name": set["metadata"]["name"], "uid": set["metadata"]["uid"].as_str().unwrap_or("of the chart") }]);
    pod
}

fn volume(state: &mut State, space: &str, pod: &str, template: &Value) {
    let at = (
        "persistentvolumeclaims".to_owned(),
        space.to_owned(),
        format!("data-{pod}"),
    );
    if !state.objects.contains_key(&at) {
        let mut claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": template["metadata"],
                                "spec": template["spec"] });
        claim["metadata"]["name"] = json!(at.2);
        claim["metadata"]["namespace"] = json!(space);
        born(state, &mut claim);
        state.put(&at, claim);
    }
}

fn decoded(text: &Value) -> Vec<u8> {
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(text.as_str().unwrap_or_default()).unwrap()
}

async fn trust_root(cluster: web::Data<FakeCluster>) -> HttpResponse {
    match cluster.lock().ledger() {
        Some(ledger) => HttpResponse::Ok().body(ledger.canonical().unwrap()),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// A node's answer. The pod is found by the host name that was asked.
async fn status(cluster: web::Data<FakeCluster>, request: HttpRequest) -> HttpResponse {
    let mut state = cluster.lock();
    let set: Vec<String> = match state.ledger() {
        Some(ledger) => ledger
            .newest()
            .validators()
            .iter()
            .map(|one| one.name.clone())
            .collect(),
        None => return HttpResponse::ServiceUnavailable().finish(),
    };
    let host = request.connection_info().host().to_owned();
    let name = host.split('.').next().unwrap_or_default();
    let Some(pod) = state.objects.get(&key("pods", name)) else {
        return HttpResponse::NotFound().finish();
    };
    let decode = |text: &Value| serde_json::from_slice::<Value>(&decoded(text)).unwrap_or_default();
    let Some(config) = state.objects.get(&key("secrets", "notary-config")) else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let replica = decode(&config["data"][format!("{name}.json")])["replicas"][0].clone();
    let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    let has_tls = ports.iter().any(|port| port["name"] == "health");
    let spoken = if request.app_config().secure() {
        has_tls
    } else {
        !has_tls || replica["tls"]["plain"] == true
    };
    if !spoken || state.silent.contains(name) {
        return HttpResponse::Forbidden().finish();
    }
    let bearer = request
        .headers()
        .get("authorization")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if bearer != format!("Bearer {}", replica["token"].as_str().unwrap_or_default()) {
        return HttpResponse::Unauthorized().finish();
    }
    let Some(genesis) = state.objects.get(&key("configmaps", "notary-genesis")) else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let genesis = genesis["data"]["genesis.json"].as_str().unwrap();
    let count = set.len();
    let votes = |name: &String| !state.held.contains(name);
    let voting = set.iter().any(|name| replica["name"] == **name && votes(name));
    let all = set.iter().filter(|name| votes(name)).count();
    let quorum = count * 2 / 3 + 1;
    HttpResponse::Ok().json(json!({
        "network": hex::encode(Sha256::digest(genesis)), "name": replica["name"], "version": "0", "height": replica["limits"]["blockActions"],
        "stateRoot": "", "logSize": 1, "time": 0, "peers": [], "validators": count, "quorum": quorum, "mempool": 0,
        "voting": voting, "ready": voting && all >= quorum,
    }))
}
