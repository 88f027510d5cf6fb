//! Looks at the seats of a network: what lies in the hosts' Secrets, and what hosts and replicas say.

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;

use super::observe::View;
use super::seats::Files;
use super::{Shared, host_of, seat_name};
use crate::backend::cluster::observe;
use crate::backend::{BackendError, Observation};
use crate::network::NetworkRef;
use crate::prober::SeatAnswer;

/// Whose seats are looked at.
pub struct Whose<'a> {
    pub network: &'a NetworkRef,
    pub id: Option<&'a str>,
    pub validators: Vec<String>,
    pub port: u16,
    pub token: &'a str,
}

/// What was seen of them: views in the order of the validators, and the Secrets that they lie in.
pub struct Seen {
    pub views: Vec<View>,
    pub secrets: Vec<Secret>,
}

impl Seen {
    /// As every backend reports it.
    pub fn observation(&self, whose: &Whose<'_>) -> Observation {
        let seat = seat_name(whose.network);
        Observation {
            network: whose.network.clone(),
            id: whose.id.map(str::to_owned),
            nodes: self.views.iter().map(|view| view.node(&seat)).collect(),
            membership: None,
            ballot: None,
            left_over: Vec::new(),
            certificates: None,
        }
    }
}

impl Shared<'_> {
    pub(super) async fn look(&self, whose: &Whose<'_>) -> Result<Seen, BackendError> {
        let pods = self.pods().await?;
        let hosts: Vec<usize> = whose.validators.iter().map(|name| host_of(name)).collect();
        let secrets = try_join_all(hosts.iter().map(|host| self.secret(*host, whose.port))).await?;
        let views = hosts
            .iter()
            .zip(&whose.validators)
            .zip(&secrets)
            .map(|((host, name), secret)| {
                let pod = pods.iter().find(|pod| pod.name_any() == self.hosts.pod(*host));
                self.view(whose, name, pod, secret)
            });
        let views = join_all(views).await;
        Ok(Seen { views, secrets })
    }

    async fn view(&self, whose: &Whose<'_>, name: &str, pod: Option<&Pod>, secret: &Secret) -> View {
        let (said, answer) = match (pod.and_then(observe::host), whose.id) {
            (Some(address), Some(id)) => {
                let url = self.hosts.url(&address, whose.network);
                let said = self.prober.seat(&url, whose.token).await;
                let answer = match &said {
                    SeatAnswer::Taken(_) => self.prober.ask(&url, whose.token, id, name).await,
                    _ => None,
                };
                (said, answer)
            }
            _ => (SeatAnswer::Silent, None),
        };
        View {
            name: name.to_owned(),
            pod: pod.cloned(),
            files: Files::of(secret, &seat_name(whose.network)),
            said,
            answer,
        }
    }
}
