//! NetworkPolicy of the validators: each other, the control plane, and names. Nothing else, in or out.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Inputs;
use crate::backend::cluster::names::{self, API_PORT, COMPONENT, CONSENSUS_PORT, HEALTH_PORT};

fn port(port: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}

/// The policy.
pub fn network_policy(inputs: &Inputs<'_>) -> NetworkPolicy {
    let network = &inputs.plan.network.network;
    let each_other = || NetworkPolicyPeer {
        pod_selector: Some(names::selector(network)),
        ..NetworkPolicyPeer::default()
    };
    let control_plane = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(names::map([(
                "kubernetes.io/metadata.name",
                inputs.settings.namespace.clone(),
            )])),
            ..LabelSelector::default()
        }),
        pod_selector: Some(LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: COMPONENT.to_owned(),
                operator: "In".to_owned(),
                values: Some(vec!["api".to_owned(), "operator".to_owned()]),
            }]),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    };
    // Wherever the cluster's DNS runs; it may be on the nodes themselves, so no selector is right everywhere.
    let names = NetworkPolicyEgressRule {
        ports: Some(vec![port(53, "UDP"), port(53, "TCP")]),
        to: None,
    };
    // The plain port answers only how a node is, but for networks that are just getting their certificates.
    let http = || vec![port(API_PORT, "TCP"), port(HEALTH_PORT, "TCP")];
    let own_ports = || {
        let mut ports = http();
        ports.push(port(CONSENSUS_PORT, "TCP"));
        Some(ports)
    };
    NetworkPolicy {
        metadata: names::metadata(network, names::validators(network)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(names::selector(network)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    from: Some(vec![each_other()]),
                    ports: own_ports(),
                },
                NetworkPolicyIngressRule {
                    from: Some(vec![control_plane]),
                    ports: Some(http()),
                },
            ]),
            egress: Some(vec![
                NetworkPolicyEgressRule {
                    to: Some(vec![each_other()]),
                    ports: own_ports(),
                },
                names,
            ]),
        }),
    }
}
