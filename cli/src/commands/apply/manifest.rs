//! What files describe: read and checked as far as it can be without a server. Pure but for reading the files.

use std::fmt;
use std::path::{Path, PathBuf};

use muniment_crds::{GROUP, NetworkName, TenantName, VERSION};
use serde_json::{Map, Value, json};

use crate::error::{Failure, Result, chain};
use crate::files::Shown;
use crate::files::read_bounded;

/// Longest file.
const LONGEST: usize = 1024 * 1024;

/// A described tenant or network.
#[derive(Debug, PartialEq)]
pub struct Manifest {
    tenant: String,
    network: Option<String>,
    spec: Value,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Found {
    /// Tenants, then networks.
    pub manifests: Vec<Manifest>,
    /// What is left to others, a sentence each.
    pub left: Vec<String>,
}

impl Manifest {
    /// Its own name.
    pub fn name(&self) -> &str {
        self.network.as_ref().unwrap_or(&self.tenant)
    }

    /// The tenant that it is, or is of.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether it is a tenant.
    pub fn is_tenant(&self) -> bool {
        self.network.is_none()
    }

    /// Kind, as in the file.
    pub fn kind(&self) -> &'static str {
        if self.is_tenant() { "Tenant" } else { "LedgerNetwork" }
    }

    /// What is wanted.
    pub fn spec(&self) -> &Value {
        &self.spec
    }

    /// Where one like it is made.
    pub fn collection_url(&self, server: &str) -> String {
        match self.network {
            None => format!("{server}/v1/tenants"),
            Some(_) => format!("{server}/v1/tenants/{}/networks", self.tenant),
        }
    }

    /// Where it is changed and deleted.
    pub fn url(&self, server: &str) -> String {
        format!("{}/{}", self.collection_url(server), self.name())
    }

    /// Where it is read.
    pub fn resource_url(&self, server: &str) -> String {
        let below = if self.is_tenant() { "" } else { "/resource" };
        format!("{}{below}", self.url(server))
    }

    /// A command for what to do with a network next.
    pub fn next(&self) -> String {
        let (tenant, network) = (&self.tenant, self.name());
        format!("muniment notarize FILE --tenant {tenant} --network {network}")
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            None => write!(f, "tenant {}", self.tenant),
            Some(network) => write!(f, "network {}/{network}", self.tenant),
        }
    }
}

/// Reads all files before anything is sent: a mistake in the last one leaves nothing half done.
///
/// # Errors
/// When a file can't be read, or describes what can't be described here.
pub fn read(files: &[PathBuf]) -> Result<Found> {
    let mut found = Found::default();
    for path in files {
        let bytes = read_bounded(path, LONGEST)?
            .ok_or_else(|| bad(path, "it is longer than 1 MiB", "name a file with descriptions"))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| bad(path, &error.to_string(), "save it as UTF-8"))?;
        documents(path, text, &mut found)?;
    }
    if found.manifests.is_empty() {
        return Err(Failure::usage(
            "bad_manifest",
            "the files describe no tenant and no network",
            "name files with `kind: Tenant` or `kind: LedgerNetwork`",
        ));
    }
    found.manifests.sort_by_key(|one| one.network.is_some());
    Ok(found)
}

fn documents(path: &Path, text: &str, found: &mut Found) -> Result<()> {
    let all: Vec<Value> = serde_yaml::from_multiple(text).map_err(|error| {
        bad(
            path,
            &chain(&error),
            "correct the YAML there, and run the same command again",
        )
    })?;
    for (number, one) in all.into_iter().enumerate().filter(|(_, one)| !one.is_null()) {
        let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if kind == "Namespace" {
            found
                .left
                .push(format!("namespace {name}: left to kubectl; a tenant needs none here"));
            continue;
        }
        if text("/apiVersion").is_empty() || kind.is_empty() || name.is_empty() {
            let why = format!("document {} lacks `apiVersion`, `kind` or `metadata.name`", number + 1);
            return Err(bad(path, &why, "compare it with docs/quickstart-kubernetes.md"));
        }
        if text("/apiVersion") != format!("{GROUP}/{VERSION}") {
            let (why, next) = (
                format!("{kind} {name} is of `{}`", text("/apiVersion")),
                format!("`{GROUP}/{VERSION}` can be applied here; apply the others with kubectl"),
            );
            return Err(bad(path, &why, &next));
        }
        known_fields(path, kind, name, &one)?;
        let tenant = match kind {
            "Tenant" => name,
            "LedgerNetwork" => text("/metadata/namespace"),
            "RecordTemplate" => {
                let why = format!("the template {name} can't be applied");
                return Err(bad(
                    path,
                    &why,
                    "publish it in a network with `muniment template publish`",
                ));
            }
            other => {
                let why = format!("`{other}` can't be applied");
                return Err(bad(path, &why, "describe a Tenant or a LedgerNetwork"));
            }
        };
        let unusable = |error: muniment_crds::NameError| bad(path, &error.to_string(), "choose another name");
        // Names become parts of paths.
        TenantName::new(tenant).map_err(unusable)?;
        let network = match kind {
            "Tenant" => None,
            _ => Some(NetworkName::new(name).map_err(unusable)?.to_string()),
        };
        found.manifests.push(Manifest {
            tenant: tenant.to_owned(),
            network,
            spec: one.get("spec").cloned().unwrap_or_else(|| json!({})),
        });
    }
    Ok(())
}

fn known_fields(path: &Path, kind: &str, name: &str, one: &Value) -> Result<()> {
    const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let fields = one.as_object().into_iter().flat_map(Map::keys);
    match fields.into_iter().find(|field| !KNOWN.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => {
            let why = format!("{kind} {name} has an unknown field `{field}`");
            Err(bad(path, &why, "what is wanted stands below `spec`"))
        }
    }
}

fn bad(path: &Path, why: &str, next: &str) -> Failure {
    Failure::usage("bad_manifest", format!("{}: {why}", path.shown()), next)
}

/// The patch (RFC 7396) that makes `wanted` of `known`.
pub fn difference(known: &Value, wanted: &Value) -> Value {
    let (Some(known), Some(wanted)) = (known.as_object(), wanted.as_object()) else {
        return wanted.clone();
    };
    let mut patch = Map::new();
    for (name, value) in wanted {
        match known.get(name) {
            Some(before) if before == value => {}
            Some(before) if before.is_object() && value.is_object() => {
                let inner = difference(before, value);
                if inner != json!({}) {
                    patch.insert(name.clone(), inner);
                }
            }
            _ => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in known.keys().filter(|name| !wanted.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Found> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        std::fs::write(&path, text).unwrap();
        read(&[path])
    }

    #[test]
    fn tenants_come_first_and_a_namespace_is_left_to_others() {
        let found = read_text(
            "apiVersion: muniment.dev/v1alpha1\nkind: LedgerNetwork\nmetadata: { name: contracts, namespace: acme }\n\
             spec: { templates: [{ name: notarization }] }\n---\napiVersion: v1\nkind: Namespace\nmetadata: { name: acme }\n\
             ---\napiVersion: muniment.dev/v1alpha1\nkind: Tenant\nmetadata: { name: acme }\n---\n",
        )
        .unwrap();
        let names: Vec<String> = found.manifests.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["tenant acme", "network acme/contracts"]);
        assert_eq!(found.left.len(), 1);
        assert_eq!(
            found.manifests[1].resource_url("s"),
            "s/v1/tenants/acme/networks/contracts/resource"
        );
    }

    #[test]
    fn what_cant_be_applied_is_named_with_the_way_out() {
        let head = "apiVersion: muniment.dev/v1alpha1\n";
        for (text, words) in [
            (
                format!("{head}kind: RecordTemplate\nmetadata: {{ name: x }}"),
                "template publish",
            ),
            (
                format!("{head}kind: Tennant\nmetadata: {{ name: x }}"),
                "describe a Tenant",
            ),
            (
                format!("{head}kind: Tenant\nmetadata: {{ name: ../x }}"),
                "choose another name",
            ),
            (
                format!("{head}kind: LedgerNetwork\nmetadata: {{ name: x }}"),
                "choose another name",
            ),
            (
                "apiVersion: v2\nkind: Tenant\nmetadata: { name: x }".to_owned(),
                "can be applied here",
            ),
            (
                format!("{head}kind: Tenant\nmetadata: {{ name: x }}\nspecs: {{}}"),
                "below `spec`",
            ),
            ("kind: [".to_owned(), "correct the YAML"),
            (String::new(), "kind: Tenant"),
        ] {
            let failure = read_text(&text).unwrap_err();
            assert_eq!(failure.code, "bad_manifest");
            assert!(failure.next.contains(words), "{failure}");
        }
    }

    #[test]
    fn the_difference_takes_back_what_is_gone() {
        let known = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [1] });
        for (wanted, patch) in [
            (known.clone(), json!({})),
            (json!({ "a": 1 }), json!({ "b": null, "e": null })),
            (
                json!({ "a": 2, "b": { "c": 2, "d": 4 }, "e": [1, 2] }),
                json!({ "a": 2, "b": { "d": 4 }, "e": [1, 2] }),
            ),
        ] {
            assert_eq!(difference(&known, &wanted), patch);
        }
    }
}
