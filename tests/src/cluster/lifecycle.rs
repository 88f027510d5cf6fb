//! Changes of a running network as a user makes them, each waited for until it is in force.

use muniment_receipts::trust::TrustRoot;
use serde_json::Value;

use super::{ClusterWorld, NETWORK, attempt, kubectl, release, tool};
use crate::poll;

/// A change restarts every validator, one after another, on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(420);

impl ClusterWorld {
    /// The network's resource.
    ///
    /// # Panics
    /// When there is none.
    pub fn resource(&self) -> Value {
        let text = kubectl(&["get", "ln", NETWORK, "-n", self.tenant(), "-o", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// A condition of the network, as `(status, reason, message)`.
    pub fn condition(&self, kind: &str) -> Option<(String, String, String)> {
        condition(&self.resource(), kind)
    }

    /// Waits until the network is ready, nothing is under way, and everything in its spec is in force.
    pub async fn settled(&self) {
        poll::within(LONG, "the network has settled", || async {
            let network = self.resource();
            let says = |kind: &str| condition(&network, kind).map(|(status, ..)| status);
            let current = network["status"]["observedGeneration"] == network["metadata"]["generation"];
            let settled = says("Ready")? == "True" && says("Progressing")? == "False" && says("SpecApplied")? == "True";
            (current && settled && says("Degraded")? == "False").then_some(())
        })
        .await;
    }

    /// Changes the number of validators as `kubectl scale` does, and waits until so many are in the set and no other
    /// pod runs. Opens doors to them.
    ///
    /// # Panics
    /// When that doesn't happen.
    pub async fn scale(&self, count: usize) {
        let replicas = format!("--replicas={count}");
        kubectl(&["scale", "ln", NETWORK, "-n", self.tenant(), &replicas]);
        self.scaled(count).await;
    }

    /// As [`Self::scale`], of a change that was made in another way.
    ///
    /// # Panics
    /// When that doesn't happen.
    pub async fn scaled(&self, count: usize) {
        self.settled().await;
        let nodes = self.resource()["status"]["nodes"].as_array().unwrap().clone();
        assert_eq!(nodes.len(), count, "{nodes:?}");
        let names: Vec<String> = nodes
            .iter()
            .map(|node| node["name"].as_str().unwrap().to_owned())
            .collect();
        for name in &names {
            if !self.doors.lock().unwrap().contains_key(name) {
                let pod = self.pod(name);
                self.open(name.clone(), self.tenant.clone(), pod, 8411).await;
            }
        }
        *self.validators.lock().unwrap() = names;
        poll::until("the API knows who the validators are", || async {
            let file = self.ask("/trust-root").await?;
            let root = TrustRoot::parse(file.as_bytes()).ok()?;
            let known = root.newest().validators().len() == count;
            known.then(|| *self.newest.lock().unwrap() = Some(root))
        })
        .await;
    }

    /// Text of an answer of the API about the network.
    async fn ask(&self, below: &str) -> Option<String> {
        use crate::world::World as _;
        let api = self.api();
        let answer = api
            .request(reqwest::Method::GET, &api.url(below), &[], None)
            .await
            .ok()?;
        (answer.status == 200).then_some(answer.text)
    }

    /// Installs another image, and waits until every validator runs it.
    pub async fn upgrade(&self, image: &str) {
        release(image, "");
        poll::within(LONG, "every validator runs the new image", || async {
            let path = "jsonpath={.items[*].spec.containers[0].image}";
            let label = "app.kubernetes.io/component=validator";
            let found = attempt(
                &["kubectl", "get", "pod", "-n", self.tenant(), "-l", label, "-o", path],
                "",
            );
            (found.0 && found.1.split_whitespace().all(|one| one == image)).then_some(())
        })
        .await;
        self.settled().await;
    }

    /// Changes fields of the network's spec, as JSON.
    pub fn change(&self, spec: &str) {
        let patch = format!("{{\"spec\":{spec}}}");
        kubectl(&[
            "patch",
            "ln",
            NETWORK,
            "-n",
            self.tenant(),
            "--type",
            "merge",
            "-p",
            &patch,
        ]);
    }

    /// Stops all validators, waits until none runs, and wakes the network.
    pub async fn sleep_and_wake(&self) {
        self.change("{\"desiredState\":\"Hibernated\"}");
        poll::until("no validator runs", || async {
            let (status, ..) = self.condition("Hibernated")?;
            (status == "True").then_some(())
        })
        .await;
        self.change("{\"desiredState\":\"Running\"}");
        let network = format!("ln/{NETWORK}");
        let words = [
            "kubectl",
            "wait",
            "-n",
            self.tenant(),
            &network,
            "--for=condition=Ready",
            "--timeout=120s",
        ];
        tool(&words, "");
    }
}

fn condition(network: &Value, kind: &str) -> Option<(String, String, String)> {
    let conditions = network["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}
