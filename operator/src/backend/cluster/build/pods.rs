//! The pod of a validator: one container, no rights, nothing writable but its volume.
//!
//! ```text
//! /etc/muniment         node.json  genesis.json  keys.json  tls.key  [joined]: this validator's only (subPathExpr)
//! /etc/muniment-tls     ca.crt  <validator>.crt: public; not by subPath, so that they change under a running node
//! /var/lib/muniment     its volume
//! ```

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource,
    ResourceRequirements, SeccompProfile, SecretProjection, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use muniment_crds::NodeSize;

use super::{Inputs, config, genesis};
use crate::backend::cluster::certificates::{TRUSTED, certificate_key, private_key};
use crate::backend::cluster::names::{self, API_PORT, CONSENSUS_PORT, HEALTH_PORT, MANAGED_BY, REVISION};
use crate::backend::cluster::speech::HEALTH;

const USER: i64 = 65532;
/// Folder of a validator's own settings.
pub const SETTINGS: &str = "/etc/muniment";
/// File in it with the private key of its certificate.
pub const TLS_KEY: &str = "tls.key";
/// Folder of everybody's certificates.
pub const CERTIFICATES: &str = "/etc/muniment-tls";
const DATA: &str = "/var/lib/muniment";

/// The template of all pods.
pub fn template(inputs: &Inputs<'_>) -> PodTemplateSpec {
    let network = &inputs.plan.network.network;
    let mut labels = names::pod_labels(network);
    labels.insert(MANAGED_BY.to_owned(), names::FIELD_MANAGER.to_owned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(names::map([(REVISION, inputs.plan.revision.clone())])),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container(inputs)],
            service_account_name: Some(names::validators(network)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            priority_class_name: inputs.settings.priority_class.clone(),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            termination_grace_period_seconds: Some(30),
            topology_spread_constraints: Some(vec![
                spread(inputs, "kubernetes.io/hostname"),
                spread(inputs, "topology.kubernetes.io/zone"),
            ]),
            volumes: Some(vec![settings(inputs), certificates(inputs)]),
            ..PodSpec::default()
        }),
    }
}

/// As evenly as the nodes allow; a small cluster still gets its network.
fn spread(inputs: &Inputs<'_>, over: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: over.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(names::selector(&inputs.plan.network.network)),
        ..TopologySpreadConstraint::default()
    }
}

fn container(inputs: &Inputs<'_>) -> Container {
    let argument = |text: &str| text.to_owned();
    let port = |name: &str, port| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: "validator".to_owned(),
        image: Some(inputs.settings.image.clone()),
        image_pull_policy: Some(inputs.settings.image_pull_policy.clone()),
        args: Some(["node", "--from", SETTINGS, "--config", DATA].map(argument).to_vec()),
        env: Some(vec![EnvVar {
            name: "POD_NAME".to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "metadata.name".to_owned(),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![
            port("api", API_PORT),
            port(HEALTH, HEALTH_PORT),
            port("consensus", CONSENSUS_PORT),
        ]),
        resources: Some(resources(inputs.plan.hosting.size)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        // Alive: it answers. Ready: it votes and isn't behind. One that is stuck ends by itself.
        startup_probe: Some(probe("/healthz", 1, 300)),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        readiness_probe: Some(probe("/readyz", 3, 2)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            VolumeMount {
                name: "settings".to_owned(),
                mount_path: SETTINGS.to_owned(),
                read_only: Some(true),
                sub_path_expr: Some("$(POD_NAME)".to_owned()),
                ..VolumeMount::default()
            },
            VolumeMount {
                name: "certificates".to_owned(),
                mount_path: CERTIFICATES.to_owned(),
                read_only: Some(true),
                ..VolumeMount::default()
            },
            VolumeMount {
                name: "data".to_owned(),
                mount_path: DATA.to_owned(),
                ..VolumeMount::default()
            },
        ]),
        ..Container::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(HEALTH.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

/// Cores asked for, memory asked for, most memory. No limit of cores: a validator that is throttled misses its turns.
fn resources(size: NodeSize) -> ResourceRequirements {
    let (cores, memory, most) = match size {
        NodeSize::Small => ("100m", "192Mi", "512Mi"),
        NodeSize::Medium => ("500m", "512Mi", "1Gi"),
        NodeSize::Large => ("2", "2Gi", "4Gi"),
    };
    let amount = |text: &str| Quantity(text.to_owned());
    ResourceRequirements {
        requests: Some([("cpu".to_owned(), amount(cores)), ("memory".to_owned(), amount(memory))].into()),
        limits: Some([("memory".to_owned(), amount(most))].into()),
        ..ResourceRequirements::default()
    }
}

/// Everything that pods read, in a folder for each; a container sees its own only.
fn settings(inputs: &Inputs<'_>) -> Volume {
    let network = &inputs.plan.network.network;
    let mut sources = Vec::new();
    for node in &inputs.plan.network.nodes {
        let pod = names::pod(network, &node.name);
        let item = |key: &str, file: &str| KeyToPath {
            key: key.to_owned(),
            path: format!("{pod}/{file}"),
            mode: None,
        };
        let secret = |name: String, item, optional| VolumeProjection {
            secret: Some(SecretProjection {
                name,
                items: Some(vec![item]),
                optional,
            }),
            ..VolumeProjection::default()
        };
        sources.extend([
            secret(
                names::config(network),
                item(&config::settings_key(&pod), "node.json"),
                None,
            ),
            // Without the Secret no pod starts; without this key one does, as a validator that never voted.
            secret(
                names::config(network),
                item(&config::joined_key(&pod), "joined"),
                Some(true),
            ),
            secret(names::keys(network, &node.name), item("keys.json", "keys.json"), None),
            secret(
                names::certificates(network),
                item(&private_key(&node.name), TLS_KEY),
                None,
            ),
            VolumeProjection {
                config_map: Some(ConfigMapProjection {
                    name: names::genesis(network),
                    items: Some(vec![item(genesis::GENESIS, "genesis.json")]),
                    optional: None,
                }),
                ..VolumeProjection::default()
            },
        ]);
    }
    Volume {
        name: "settings".to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    }
}

/// Everybody's certificates, which are no secret, and no private key.
fn certificates(inputs: &Inputs<'_>) -> Volume {
    let nodes = &inputs.plan.network.nodes;
    let files = nodes.iter().map(|node| certificate_key(&node.name));
    let items = files.chain([TRUSTED.to_owned()]).map(|file| KeyToPath {
        key: file.clone(),
        path: file,
        mode: None,
    });
    Volume {
        name: "certificates".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(names::certificates(&inputs.plan.network.network)),
            items: Some(items.collect()),
            default_mode: Some(0o440),
            optional: None,
        }),
        ..Volume::default()
    }
}
