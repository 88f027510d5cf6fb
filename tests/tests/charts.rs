//! The Helm charts: every value is read, every setting is known to the program, rights are named one by one, and what is
//! rendered is what was reviewed.
//!
//! Rendering needs Helm: `MUNIMENT_HELM`, `helm` on the path, or the test cluster's. Without one those tests say so and
//! pass. `UPDATE_GOLDEN=1` rewrites what was reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use muniment_tests::binary;
use serde_json::Value;

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts")
}

fn read(path: &str) -> String {
    let path = charts().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

fn templates(chart: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![charts().join(chart).join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Paths of what isn't an object with named fields: `resources` are given to Kubernetes as they are.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|_| !at.ends_with("resources")) {
        Some(fields) => fields.iter().for_each(|(name, inner)| {
            let at = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            leaves(inner, &at, found);
        }),
        None => {
            found.insert(at.to_owned());
        }
    }
}

fn values(chart: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    leaves(&yaml(&format!("{chart}/values.yaml")), "", &mut found);
    found
}

const CHARTS: [&str; 2] = ["muniment", "muniment-crds"];

#[test]
fn every_value_is_read_by_a_template_and_every_template_reads_values_there_are() {
    for chart in CHARTS {
        let text: String = templates(chart).into_iter().map(|(_, text)| text).collect();
        let read: BTreeSet<String> = text
            .split(".Values.")
            .skip(1)
            .map(|rest| {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                    .unwrap_or(rest.len());
                rest[..end].trim_end_matches('.').to_owned()
            })
            .collect();
        assert_eq!(values(chart), read, "{chart}");
    }
}

#[test]
fn the_schema_knows_the_same_values_and_describes_each() {
    fn walk(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
        let fields = schema["properties"].as_object().filter(|_| !at.ends_with("resources"));
        let Some(fields) = fields else {
            found.insert(at.to_owned());
            return;
        };
        assert_eq!(
            schema["additionalProperties"], false,
            "{at}: a misspelt value must be refused"
        );
        for (name, inner) in fields.iter().filter(|(name, _)| *name != "global") {
            let at = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            assert!(inner["description"].is_string(), "{at} has no description");
            walk(inner, &at, found);
        }
    }
    for chart in CHARTS {
        let schema: Value = serde_json::from_str(&read(&format!("{chart}/values.schema.json"))).unwrap();
        let mut found = BTreeSet::new();
        walk(&schema, "", &mut found);
        assert_eq!(found, values(chart), "{chart}");
    }
}

#[test]
fn every_setting_of_a_container_is_known_to_the_program() {
    for role in ["operator", "api"] {
        let text = read(&format!("muniment/templates/{role}.yaml"));
        let help = binary::run(&std::env::temp_dir(), [role, "--help"]);
        assert_eq!(help.code, 0, "{}", help.stderr);
        // Lines may be broken anywhere.
        let words = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- name: "))
            .filter(|name| name.starts_with("MUNIMENT_") || name.starts_with("POD_"));
        let mut some = false;
        for name in names {
            some = true;
            assert!(
                words.contains(&format!("[env: {name}")),
                "`muniment {role}` reads no {name}:\n{}",
                help.stdout
            );
        }
        assert!(some, "{role}");
    }
}

#[test]
fn rights_are_named_one_by_one_and_each_has_its_reason() {
    let text = read("muniment/templates/rbac.yaml");
    assert!(!text.contains('*'), "a right to everything");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut rules = 0;
    for (number, line) in lines.iter().enumerate() {
        if line.starts_with("- apiGroups:") {
            rules += 1;
            let before = lines[..number].iter().rev().find(|line| !is_rule(line)).unwrap();
            assert!(
                before.starts_with('#'),
                "line {}: the rule has no reason above it, but `{before}`",
                number + 1
            );
        }
        if let Some(verbs) = line.strip_prefix("verbs:") {
            assert!(!verbs.contains("escalate") && !verbs.contains("impersonate"), "{verbs}");
        }
    }
    assert!(rules > 10, "{rules} rules");
}

fn is_rule(line: &str) -> bool {
    ["- apiGroups:", "resources:", "resourceNames:", "verbs:"]
        .iter()
        .any(|start| line.starts_with(start))
}

#[test]
fn the_definitions_of_the_chart_are_those_of_the_types() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let names = |folder: &Path| -> BTreeSet<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".yaml"))
            .collect()
    };
    let files = charts().join("muniment-crds/files");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for name in names(&own) {
            std::fs::copy(own.join(&name), files.join(&name)).unwrap();
        }
    }
    assert_eq!(names(&own), names(&files));
    for name in names(&own) {
        assert!(
            std::fs::read(own.join(&name)).unwrap() == std::fs::read(files.join(&name)).unwrap(),
            "charts/muniment-crds/files/{name} is stale: UPDATE_GOLDEN=1 cargo test -p muniment-tests --test charts"
        );
    }
}

/// Helm, as a program with its first arguments.
fn helm() -> Option<Vec<String>> {
    let works = |words: &[&str]| {
        let run = Command::new(words[0]).args(&words[1..]).arg("version").output();
        run.is_ok_and(|output| output.status.success())
            .then(|| words.iter().map(ToString::to_string).collect())
    };
    if let Ok(named) = std::env::var("MUNIMENT_HELM") {
        return works(&named.split_whitespace().collect::<Vec<_>>());
    }
    works(&["helm"]).or_else(|| works(&["/var/tmp/test-cluster/kube", "helm"]))
}

fn run(helm: &[String], arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(&helm[0])
        .args(&helm[1..])
        .args(arguments)
        .current_dir(charts())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

const KEY: [&str; 2] = ["--set", "masterKey.secret=muniment-master-key"];

#[test]
fn what_is_rendered_is_what_was_reviewed() {
    let Some(helm) = helm() else {
        eprintln!("skipped: no Helm; MUNIMENT_HELM can name one");
        return;
    };
    let cases: [(&str, &str, &[&str]); 4] = [
        ("muniment", "default", &[]),
        (
            "muniment",
            "postgres",
            &[
                "--set",
                "database.secret.name=muniment-database,api.replicas=2,operator.replicas=2",
                KEY[0],
                KEY[1],
            ],
        ),
        (
            "muniment",
            "everything",
            &[
                "--set",
                "database.url=postgres://me:secret@db/muniment,metrics.serviceMonitor.enabled=true,\
                 metrics.dashboard.enabled=true,api.publicUrl=https://muniment.example,imagePullSecrets={registry},\
                 hosts.enabled=true,hosts.storage.className=fast",
                "--set-json",
                r#"metrics.from=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]"#,
                "--api-versions",
                "monitoring.coreos.com/v1",
                KEY[0],
                KEY[1],
            ],
        ),
        ("muniment-crds", "crds", &[]),
    ];
    for (chart, name, settings) in cases {
        let (passed, lint, _) = run(
            &helm,
            &[["lint", "--strict", chart].as_slice(), lintable(settings)].concat(),
        );
        assert!(passed, "{chart} {name}: {lint}");
        let fixed = [
            "template",
            "muniment",
            chart,
            "--namespace",
            "muniment",
            "--kube-version",
            "1.35.0",
        ];
        let (passed, rendered, problem) = run(&helm, &[fixed.as_slice(), settings].concat());
        assert!(passed, "{chart} {name}: {problem}");
        let path = charts().join(format!("golden/{name}.yaml"));
        // The definitions themselves are compared with the types elsewhere.
        let rendered = if chart == "muniment-crds" {
            heads(&rendered)
        } else {
            rendered
        };
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &rendered).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == rendered,
            "{} is not what is rendered; read the difference, then UPDATE_GOLDEN=1 cargo test -p muniment-tests --test charts",
            path.display()
        );
    }
}

/// `helm lint` knows `--set` and `--set-json` only.
fn lintable<'a>(settings: &'a [&'a str]) -> &'a [&'a str] {
    let end = settings
        .iter()
        .position(|word| *word == "--api-versions")
        .unwrap_or(settings.len());
    &settings[..end]
}

fn heads(rendered: &str) -> String {
    rendered
        .split("\n---\n")
        .map(|document| {
            let head = document.lines().take_while(|line| !line.starts_with("spec:"));
            head.fold(String::new(), |text, line| text + line + "\n")
        })
        .collect::<Vec<_>>()
        .join("---\n")
}

#[test]
fn what_cannot_work_is_refused_with_the_fix() {
    let Some(helm) = helm() else {
        eprintln!("skipped: no Helm; MUNIMENT_HELM can name one");
        return;
    };
    for (set, says) in [
        ("api.replicas=2", "set api.replicas=1, or database.url"),
        (
            "database.url=postgres://me@db/muniment",
            "kubectl create secret generic muniment-master-key",
        ),
        ("database.url=mysql://me@db/muniment", "does not match pattern"),
        ("metrics.serviceMonitor.enabled=true", "set metrics.from to a list"),
        ("imagee.tag=x", "imagee"),
        ("api.storage.size=lots", "does not match pattern"),
    ] {
        // Helm 3 built from source takes itself to be older than any cluster.
        let words = [
            "template",
            "muniment",
            "muniment",
            "--kube-version",
            "1.35.0",
            "--set",
            set,
        ];
        let (passed, _, problem) = run(&helm, &words);
        assert!(!passed && problem.contains(says), "{set}: {problem}");
    }
}
