//! What lies in a host's Secret for one seat, and what has to be written. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use muniment_ledger::config::ReplicaConfig;
use muniment_ledger::mounted::seats::{ERASE, GENESIS, KEYS, REPLICA, VOTED, digest, folder_name};
use serde_json::{Value, json};

/// The revision of the plan that a seat's settings are of.
const REVISION: &str = ".revision";
/// Most bytes in one Secret; Kubernetes allows 1 MiB.
const ROOM: usize = 1_000_000;

/// Files of one seat in its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, ByteString>);

/// What a seat is made from.
pub struct Contents {
    /// Settings.
    pub replica: Vec<u8>,
    /// Canonical genesis.
    pub genesis: Vec<u8>,
    /// Private keys.
    pub keys: ByteString,
    /// Whether the keys have been with a process that may have voted.
    pub joined: bool,
    /// Revision of the plan.
    pub revision: String,
}

/// What differs between two states of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// Something that the replica needn't be restarted for.
    Quiet,
    /// The seat appears or goes.
    Presence,
    /// The replica gets other settings.
    Settings,
}

impl Files {
    /// Files of a seat that is taken.
    pub fn taken(seat: &str, contents: Contents) -> Self {
        let mut files = BTreeMap::from([
            (format!("{seat}{REPLICA}"), ByteString(contents.replica)),
            (format!("{seat}{GENESIS}"), ByteString(contents.genesis)),
            (format!("{seat}{KEYS}"), contents.keys),
            (format!("{seat}{REVISION}"), ByteString(contents.revision.into_bytes())),
        ]);
        if contents.joined {
            files.insert(format!("{seat}{VOTED}"), ByteString(b"\n".to_vec()));
        }
        Self(files)
    }

    /// Files of a seat as they lie in a Secret.
    pub fn of(secret: &Secret, seat: &str) -> Self {
        let ends = [REPLICA, GENESIS, KEYS, VOTED, REVISION];
        let is_mine = |key: &str| key.strip_prefix(seat).is_some_and(|end| ends.contains(&end));
        let files = secret.data.iter().flatten().filter(|(key, _)| is_mine(key));
        Self(files.map(|(key, file)| (key.clone(), file.clone())).collect())
    }

    fn file(&self, seat: &str, end: &str) -> Option<&ByteString> {
        self.0.get(&format!("{seat}{end}"))
    }

    /// Whether there is a seat at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Digest of the settings, as the host says it.
    pub fn settings(&self, seat: &str) -> Option<String> {
        self.file(seat, REPLICA).map(|file| digest(&file.0))
    }

    /// Revision of the plan that the settings are of.
    pub fn revision(&self, seat: &str) -> Option<String> {
        let file = self.file(seat, REVISION)?;
        String::from_utf8(file.0.clone()).ok()
    }

    /// Token of the seat.
    pub fn token(&self, seat: &str) -> Option<String> {
        let file = self.file(seat, REPLICA)?;
        let replica: ReplicaConfig = serde_json::from_slice(&file.0).ok()?;
        Some(replica.token)
    }

    /// Name of the folder that the replica's data is in: by the genesis that it was made with.
    pub fn folder(&self, seat: &str) -> Option<String> {
        let genesis = self.file(seat, GENESIS)?;
        Some(folder_name(seat, &digest(&genesis.0)))
    }

    /// What is different in `wanted`.
    pub fn difference(&self, seat: &str, wanted: &Self) -> Difference {
        match (self.settings(seat), wanted.settings(seat)) {
            _ if self == wanted => Difference::None,
            (None, _) | (_, None) => Difference::Presence,
            (have, want) if have != want => Difference::Settings,
            _ => Difference::Quiet,
        }
    }

    /// A merge patch of the Secret that makes these files those in `wanted`.
    pub fn patch(&self, wanted: &Self) -> Value {
        let gone = self.0.keys().filter(|key| !wanted.0.contains_key(*key));
        let mut data: BTreeMap<&String, Value> = gone.map(|key| (key, Value::Null)).collect();
        let new = wanted.0.iter().filter(|(key, file)| self.0.get(*key) != Some(file));
        data.extend(new.map(|(key, file)| (key, json!(file))));
        json!({ "data": data })
    }

    fn size(&self) -> usize {
        self.0.iter().map(|(key, file)| key.len() + file.0.len()).sum()
    }

    /// Whether the Secret has room for `wanted` in the place of these.
    pub fn fits(&self, secret: &Secret, wanted: &Self) -> bool {
        let all: usize = secret
            .data
            .iter()
            .flatten()
            .map(|(key, file)| key.len() + file.0.len())
            .sum();
        all - self.size() + wanted.size() <= ROOM
    }
}

/// Names of all seats in a Secret, and the consensus ports that their settings say. What can't be read has no port.
pub fn seats_in(secret: &Secret) -> BTreeMap<String, Option<u16>> {
    let files = secret.data.iter().flatten();
    let seat = |(key, file): (&String, &ByteString)| {
        let seat = key.strip_suffix(REPLICA)?.to_owned();
        let replica: Option<ReplicaConfig> = serde_json::from_slice(&file.0).ok();
        Some((seat, replica.map(|replica| replica.consensus.port())))
    };
    files.filter_map(seat).collect()
}

/// Folders that are ordered away in a Secret.
pub fn orders_in(secret: &Secret) -> Vec<String> {
    let keys = secret.data.iter().flatten().map(|(key, _)| key);
    keys.filter_map(|key| key.strip_suffix(ERASE))
        .map(str::to_owned)
        .collect()
}

/// Key of the order to erase a folder.
pub fn erase_key(folder: &str) -> String {
    format!("{folder}{ERASE}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn contents(replica: &str, joined: bool) -> Contents {
        Contents {
            replica: replica.into(),
            genesis: b"genesis".to_vec(),
            keys: ByteString(b"keys".to_vec()),
            joined,
            revision: "r".into(),
        }
    }

    fn secret(files: &Files) -> Secret {
        let mut data = files.0.clone();
        data.insert("acme.contracts2.replica.json".into(), ByteString(b"{}".to_vec()));
        Secret {
            data: Some(data),
            ..Secret::default()
        }
    }

    #[test]
    fn a_seat_is_told_from_its_neighbour() {
        let files = Files::taken("acme.contracts", contents("{}", true));
        assert_eq!(Files::of(&secret(&files), "acme.contracts"), files);
        assert_eq!(files.revision("acme.contracts").as_deref(), Some("r"));
    }

    #[test]
    fn only_other_settings_need_a_restart() {
        let seat = "a.b";
        let (one, none) = (Files::taken(seat, contents("{}", false)), Files::default());
        assert_eq!(one.difference(seat, &one), Difference::None);
        assert_eq!(none.difference(seat, &one), Difference::Presence);
        assert_eq!(one.difference(seat, &none), Difference::Presence);
        let joined = Files::taken(seat, contents("{}", true));
        assert_eq!(one.difference(seat, &joined), Difference::Quiet);
        let other = Files::taken(seat, contents("{ }", false));
        assert_eq!(one.difference(seat, &other), Difference::Settings);
        assert_eq!(
            one.patch(&joined),
            json!({ "data": { "a.b.joined": ByteString(b"\n".to_vec()) } })
        );
        assert_eq!(joined.patch(&one), json!({ "data": { "a.b.joined": null } }));
    }

    #[test]
    fn seats_are_found_with_the_ports_that_they_have() {
        let replica = |port: u16| {
            serde_json::json!({ "name": "validator-0", "api": "0.0.0.0:8411", "consensus": format!("0.0.0.0:{port}"),
                                "peers": [], "token": "t" })
            .to_string()
        };
        let mut files = Files::taken("acme.contracts", contents(&replica(20_007), true));
        files.0.extend(Files::taken("zeta.votes", contents("damaged", false)).0);
        files
            .0
            .insert(erase_key("acme.old.0123456789abcdef"), ByteString(Vec::new()));
        let secret = Secret {
            data: Some(files.0),
            ..Secret::default()
        };
        let wanted = [
            ("acme.contracts".to_owned(), Some(20_007)),
            ("zeta.votes".to_owned(), None),
        ];
        assert_eq!(seats_in(&secret), BTreeMap::from(wanted));
        assert_eq!(orders_in(&secret), ["acme.old.0123456789abcdef"]);
        let folder = Files::of(&secret, "acme.contracts").folder("acme.contracts").unwrap();
        assert_eq!(folder, folder_name("acme.contracts", &digest(b"genesis")));
    }

    #[test]
    fn a_full_secret_takes_no_more() {
        let full = Secret {
            data: Some(BTreeMap::from([("x".into(), ByteString(vec![0; ROOM - 10]))])),
            ..Secret::default()
        };
        let files = Files::taken("a.b", contents("{}", false));
        assert!(!Files::default().fits(&full, &files));
        assert!(Files::default().fits(&Secret::default(), &files));
    }
}
