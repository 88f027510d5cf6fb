//! The committed YAML is what the types say. `UPDATE_CRDS=1` rewrites it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

#[test]
fn committed_yaml_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for definition in muniment_crds::definitions().unwrap() {
        let path = folder.join(definition.file);
        let wanted = definition.yaml().unwrap();
        if std::env::var_os("UPDATE_CRDS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{} is stale: UPDATE_CRDS=1 cargo test -p muniment-crds --test drift",
            path.display()
        );
    }
}

#[test]
fn yaml_holds_exactly_the_known_files() {
    let mut found: Vec<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "ledgernetworks.yaml",
            "networkbackups.yaml",
            "recordtemplates.yaml",
            "tenants.yaml"
        ]
    );
}
