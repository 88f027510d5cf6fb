//! Which trust root a receipt is checked against, and the store of pinned ones.
//!
//! First contact with a network pins its trust root under the user's configuration folder, and which network stands
//! behind a server's tenant and name. Neither is silently replaced: another root under the same id, or another network
//! under the same name, is an error. A root that continues the pinned one, each change of validators proven by those
//! before, takes its place. Only `dev`, which makes networks itself, says that a name has a new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_receipts::trust::TrustRoot;
use muniment_receipts::verify::Verifier;
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::context::{Choice, Context, config_dir};
use crate::error::{Failure, Result, chain, io};
use crate::files;
use crate::files::Shown;

/// A trust root and its exact bytes.
pub struct Root {
    /// As read.
    pub bytes: Vec<u8>,
    /// Parsed.
    pub root: TrustRoot,
    /// Checks receipts against it.
    pub verifier: Verifier,
    /// Where it is from, for messages.
    pub from: String,
}

impl Root {
    /// Network id, hex.
    pub fn network(&self) -> String {
        hex::encode(self.root.network())
    }

    fn parse(bytes: Vec<u8>, from: String) -> Result<Self> {
        let root = TrustRoot::parse(&bytes).map_err(|error| {
            Failure::usage(
                "bad_trust_root",
                format!("{from} is not a valid trust root: {}", chain(&error)),
                "take it again from a source you trust, for example GET …/trust-root of the network",
            )
        })?;
        Ok(Self {
            bytes,
            verifier: Verifier::with(root.clone(), None),
            root,
            from,
        })
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(bytes, path.shown()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("can't read", path, &error)),
        }
    }
}

/// Asks the server for its trust root and pins it, or compares it with the pinned one.
///
/// # Errors
/// When the server can't be reached, its root is not the pinned one, or it shows another network than before.
pub async fn contact(client: &Client) -> Result<Arc<Root>> {
    let root = ask(client).await?;
    let store = store()?;
    // The root first: a name is remembered only for a network whose root isn't refused.
    let root = pin(root, &store)?;
    name(client.context(), &root.network(), &store)?;
    Ok(Arc::new(root))
}

/// As [`contact`], for who made the network: whatever had this name before is forgotten.
///
/// # Errors
/// When the server can't be reached, or its root is not the pinned one.
pub async fn adopt(client: &Client) -> Result<Arc<Root>> {
    let root = ask(client).await?;
    let store = store()?;
    let root = pin(root, &store)?;
    files::write(&name_path(client.context(), &store), root.network().as_bytes())?;
    Ok(Arc::new(root))
}

async fn ask(client: &Client) -> Result<Root> {
    let id = client.network().await?.id;
    let bytes = client.trust_root().await?;
    let root = Root::parse(bytes, format!("the answer of {}", client.context().server))?;
    if root.network() != id {
        return Err(Failure::new(
            "trust_root_mismatch",
            format!(
                "the server says its network is {id} and its trust root is of {}",
                root.network()
            ),
            "do not use this server",
        ));
    }
    Ok(root)
}

/// File that says which network was first seen under a name. The name is hashed: it is a URL.
fn name_path(context: &Context, store: &Path) -> PathBuf {
    let Context { tenant, network, .. } = context;
    let name = format!("{}\n{tenant}\n{network}", context.identity().trim_end_matches('/'));
    store.join("names").join(hex::encode(Sha256::digest(name)))
}

/// Remembers the network behind a name, or checks that it is the one seen before.
fn name(context: &Context, id: &str, store: &Path) -> Result<()> {
    let path = name_path(context, store);
    match std::fs::read_to_string(&path) {
        Ok(known) if known.trim() == id => Ok(()),
        Ok(known) => Err(Failure::new(
            "network_replaced",
            format!(
                "{} shows another network as {}/{} than before: {id} instead of {}",
                context.server,
                context.tenant,
                context.network,
                known.trim()
            ),
            format!(
                "find out why before you go on; only if it was made anew, delete {}",
                path.shown()
            ),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files::write(&path, id.as_bytes()),
        Err(error) => Err(io("can't read", &path, &error)),
    }
}

/// Folder of pinned trust roots.
///
/// # Errors
/// When the user has no configuration folder.
pub fn store() -> Result<PathBuf> {
    Ok(config_dir()?.join("trust"))
}

/// Pins a trust root, or checks that it is the pinned one; gives the newer of both.
///
/// # Errors
/// When another one is pinned for the same network.
pub fn pin(root: Root, store: &Path) -> Result<Root> {
    let path = store.join(format!("{}.json", root.network()));
    match Root::read(&path)? {
        None => files::write(&path, &root.bytes).map(|()| root),
        Some(pinned) if pinned.bytes == root.bytes => Ok(root),
        // A server that has just started, or is cut off, may know less than it once said.
        Some(pinned) if pinned.root.continues(&root.root) => Ok(pinned),
        // Nothing is taken on trust here: each change of validators is proven by a quorum of those before.
        Some(pinned) if root.root.continues(&pinned.root) => files::write(&path, &root.bytes).map(|()| root),
        Some(_) => Err(Failure::new(
            "trust_root_changed",
            format!("{} differs from the trust root pinned in {}", root.from, path.shown()),
            "find out why before you go on; only if the new one is right, delete the pinned file",
        )),
    }
}

/// Finds the trust root for a receipt of `network`: the named file, else the pinned one, else the context's if it is of
/// this network.
///
/// # Errors
/// When a named or found file can't be used.
pub fn find(named: Option<&Path>, network: Option<&str>, choice: &Choice) -> Result<Option<Root>> {
    if let Some(path) = named {
        return match Root::read(path)? {
            Some(root) => Ok(Some(root)),
            None => Err(Failure::usage(
                "io",
                format!("there is no trust root {}", path.shown()),
                "check --trust",
            )),
        };
    }
    if let (Some(network), Ok(store)) = (network, store())
        && let Some(root) = Root::read(&store.join(format!("{network}.json")))?
    {
        if root.network() != network {
            return Err(Failure::new(
                "trust_root_changed",
                format!("{} is the trust root of another network, {}", root.from, root.network()),
                "delete the file and get the trust root again from a source you trust",
            ));
        }
        return Ok(Some(root));
    }
    // Another network's root could only call the receipt wrong, though nothing is known about it.
    let root = match choice.file()?.and_then(|context| context.trust_root) {
        Some(path) => Root::read(&path)?,
        None => None,
    };
    Ok(root.filter(|root| network == Some(root.network().as_str())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::context::save;
    use ed25519_dalek::SigningKey;
    use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, ValidatorKeys};

    fn root() -> TrustRoot {
        let key = |seed: u8| hex::encode(SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes());
        let validator = |index: u8| ValidatorKeys {
            name: format!("validator-{index}"),
            consensus: key(index * 3 + 1),
            notary: key(index * 3 + 2),
            cose: key(index * 3 + 3),
        };
        let genesis = Genesis {
            kind: GENESIS_TYPE.to_owned(),
            name: "demo/notary".to_owned(),
            created_at: 1,
            validators: (0..4).map(validator).collect(),
            members: Vec::new(),
            templates: Vec::new(),
            governance_threshold: 1,
        };
        TrustRoot::new(genesis).unwrap()
    }

    #[test]
    fn another_network_under_a_known_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |server: &str, network: &str| Context {
            version: 1,
            server: server.to_owned(),
            api_key: String::new(),
            tenant: "demo".to_owned(),
            network: network.to_owned(),
            trust_root: None,
            data_dir: None,
            identity: None,
        };
        let (first, other) = ("11".repeat(32), "22".repeat(32));
        let seen = |context: &Context, id: &str| name(context, id, folder.path()).map_err(|error| error.code);
        let here = at("http://one:1", "notary");
        assert_eq!(seen(&here, &first), Ok(()));
        assert_eq!(seen(&here, &first), Ok(()));
        assert_eq!(
            seen(&at("http://one:1/", "notary"), &other),
            Err("network_replaced".into())
        );
        assert_eq!(seen(&at("http://one:1", "second"), &other), Ok(()));
        assert_eq!(seen(&at("http://two:1", "notary"), &other), Ok(()));
        assert_eq!(seen(&here, &first), Ok(()), "what was seen first stays");
    }

    #[test]
    fn the_contexts_root_stands_for_its_own_network_only() {
        let folder = tempfile::tempdir().unwrap();
        let (context, trust_root) = (folder.path().join("context.json"), folder.path().join("root.json"));
        let root = root();
        std::fs::write(&trust_root, root.canonical().unwrap()).unwrap();
        let saved = Context {
            version: 1,
            server: String::new(),
            api_key: String::new(),
            tenant: String::new(),
            network: String::new(),
            trust_root: Some(trust_root.clone()),
            data_dir: None,
            identity: None,
        };
        save(&context, &saved).unwrap();
        let choice = Choice {
            context: Some(context),
            ..Choice::default()
        };
        let found = |named, network: Option<&str>| find(named, network, &choice).unwrap().map(|root| root.network());
        let own = hex::encode(root.network());
        assert_eq!(found(None, Some(&own)), Some(own.clone()));
        assert_eq!(found(None, Some(&"00".repeat(32))), None);
        assert_eq!(found(None, None), None);
        // A root that was named is meant.
        assert_eq!(found(Some(&trust_root), Some(&"00".repeat(32))), Some(own));
    }
}
