//! Which server, tenant, network and key a command uses.
//!
//! `muniment dev` writes a context file; every other command finds it. Order: `--server`/`--api-key` and their
//! variables over `--context`/`MUNIMENT_CONTEXT` over the user's own file.

use std::path::{Path, PathBuf};

use muniment_crds::TenantName;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result, io, named};
use crate::files;
use crate::files::Shown;

/// Version of the context file.
const VERSION: u32 = 1;

/// The context file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// [`VERSION`].
    pub version: u32,
    /// Base URL of the management API.
    pub server: String,
    /// API key; a secret.
    pub api_key: String,
    /// Tenant.
    pub tenant: String,
    /// Network.
    pub network: String,
    /// Trust root file, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<PathBuf>,
    /// Data folder of `muniment dev`, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// By what the server is known when its URL changes; the URL when absent.
    #[serde(skip)]
    pub identity: Option<String>,
}

impl Context {
    /// By what the server is known.
    pub fn identity(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.server)
    }
}

/// `--context cluster`: no file, but the Kubernetes of the user's kubeconfig.
const CLUSTER: &str = "cluster";

/// The flags of [`Choice`] and their values, each of which the environment may give, too.
pub const FLAGS: [(&str, &str); 5] = [
    ("--context", "FILE"),
    ("--server", "URL"),
    ("--api-key", "KEY"),
    ("--tenant", "NAME"),
    ("--network", "NAME"),
];

/// Global flags that choose or override a context.
#[derive(Clone, Default, clap::Args)]
pub struct Choice {
    /// Context file, or `cluster` for the Kubernetes of your kubeconfig [default: the one `muniment dev` wrote].
    #[arg(
        long,
        global = true,
        env = "MUNIMENT_CONTEXT",
        value_name = "FILE",
        help_heading = "Connection"
    )]
    pub context: Option<PathBuf>,
    /// Base URL of the management API.
    #[arg(
        long,
        global = true,
        env = "MUNIMENT_SERVER",
        value_name = "URL",
        help_heading = "Connection"
    )]
    pub server: Option<String>,
    /// API key. Prefer the variable: a flag is visible to every user of the machine.
    #[arg(
        long,
        global = true,
        env = "MUNIMENT_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Connection"
    )]
    pub api_key: Option<String>,
    /// Tenant.
    #[arg(
        long,
        global = true,
        env = "MUNIMENT_TENANT",
        value_name = "NAME",
        help_heading = "Connection"
    )]
    pub tenant: Option<String>,
    /// Network.
    #[arg(
        long,
        global = true,
        env = "MUNIMENT_NETWORK",
        value_name = "NAME",
        help_heading = "Connection"
    )]
    pub network: Option<String>,
}

impl Choice {
    /// Whether the Kubernetes of the user's kubeconfig is meant. A file of that name is named as `./cluster`.
    pub fn names_cluster(&self) -> bool {
        self.context.as_deref() == Some(Path::new(CLUSTER))
    }

    /// The context file that would be read.
    ///
    /// # Errors
    /// When neither a file is named nor the user has a home folder.
    pub fn path(&self) -> Result<PathBuf> {
        match &self.context {
            Some(path) => Ok(path.clone()),
            None => Ok(config_dir()?.join("context.json")),
        }
    }

    /// The context with all overrides applied.
    ///
    /// # Errors
    /// When there is no usable context and the flags don't make a whole one.
    pub fn load(&self) -> Result<Context> {
        let mut context = match self.file()? {
            Some(context) => context,
            None if self.names_cluster() && self.server.is_none() => crate::cluster::open(self)?,
            None => self.by_flags()?,
        };
        if let (Some(tenant), Some(data), None) = (&self.tenant, &context.data_dir, &self.api_key)
            && *tenant != context.tenant
        {
            context = other_tenant(data, tenant)?;
        }
        if let Some(server) = &self.server {
            // The file's trust root and key belong to the file's server: whoever runs another one must not get the key.
            if bare(server) != bare(&context.server) {
                if self.api_key.is_none() {
                    return Err(foreign_key(server, &context.server));
                }
                context.trust_root = None;
                context.identity = None;
                context.data_dir = None;
            }
            context.server = server.clone();
        }
        for (flag, field) in [
            (&self.api_key, &mut context.api_key),
            (&self.tenant, &mut context.tenant),
            (&self.network, &mut context.network),
        ] {
            if let Some(value) = flag {
                *field = value.clone();
            }
        }
        context.server = bare(&context.server).to_owned();
        Ok(context)
    }

    /// As [`Self::load`], with the key of the platform where this user has it and names no other: whoever started the `dev`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_platform(&self) -> Result<Context> {
        let context = self.load()?;
        let path = context
            .data_dir
            .as_deref()
            .filter(|_| self.api_key.is_none())
            .map(platform);
        let known = path.and_then(|path| parse(&path, &std::fs::read(&path).ok()?).ok());
        Ok(match known {
            Some(known) if known.server == context.server => Context {
                api_key: known.api_key,
                ..context
            },
            _ => context,
        })
    }

    /// The context file as it is, `None` when there is none or the cluster is meant.
    ///
    /// # Errors
    /// When a named file is missing, or a file is there and can't be read.
    pub fn file(&self) -> Result<Option<Context>> {
        if self.names_cluster() {
            return Ok(None);
        }
        let path = match self.path() {
            Ok(path) => path,
            Err(_) if self.context.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        match std::fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.context.is_none() => Ok(None),
            Err(error) => Err(named("can't read", &path, &error)),
        }
    }

    fn by_flags(&self) -> Result<Context> {
        let (Some(server), Some(api_key)) = (&self.server, &self.api_key) else {
            return Err(Failure::usage(
                "no_context",
                "no server is known: there is no context file and not both of --server and MUNIMENT_API_KEY are given",
                "start a network with `muniment dev`, or set MUNIMENT_SERVER and MUNIMENT_API_KEY",
            ));
        };
        Ok(Context {
            version: VERSION,
            server: server.clone(),
            api_key: api_key.clone(),
            tenant: "demo".to_owned(),
            network: "notary".to_owned(),
            trust_root: None,
            data_dir: None,
            identity: None,
        })
    }
}

fn bare(server: &str) -> &str {
    server.trim_end_matches('/')
}

fn foreign_key(server: &str, own: &str) -> Failure {
    Failure::usage(
        "no_api_key",
        format!("no API key for {server} is given: the one in the context file is for {own} and is sent nowhere else"),
        format!("set MUNIMENT_API_KEY to a key of {server}"),
    )
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Context> {
    let next = "delete the file and start `muniment dev` again, or name another one with MUNIMENT_CONTEXT";
    let context: Context = serde_json::from_slice(bytes).map_err(|error| {
        Failure::usage(
            "bad_context",
            format!("{} is not a context file: {error}", path.shown()),
            next,
        )
    })?;
    if context.version > VERSION {
        return Err(Failure::usage(
            "newer_format",
            format!(
                "{} has version {}, this program knows {VERSION}",
                path.shown(),
                context.version
            ),
            "use the muniment that wrote it, or a newer one",
        ));
    }
    Ok(context)
}

/// Context of the platform in the data folder of a `dev`.
pub fn platform(data: &Path) -> PathBuf {
    data.join("platform.json")
}

/// Context of a tenant that was made in a `dev`, in its data folder.
pub fn of_tenant(data: &Path, tenant: &str) -> PathBuf {
    data.join("tenants").join(format!("{tenant}.json"))
}

/// The context of another tenant of the same `dev`.
fn other_tenant(data: &Path, tenant: &str) -> Result<Context> {
    let unknown = || {
        Failure::usage(
            "no_tenant",
            format!("this `muniment dev` has no tenant `{tenant}`"),
            "check --tenant; `muniment apply -f FILE` makes one that is described there",
        )
    };
    // The name becomes part of a path.
    TenantName::new(tenant).map_err(|_| unknown())?;
    let path = of_tenant(data, tenant);
    match std::fs::read(&path) {
        Ok(bytes) => parse(&path, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(unknown()),
        Err(error) => Err(named("can't read", &path, &error)),
    }
}

/// Writes the context file, readable by the owner only.
///
/// # Errors
/// When it can't be written.
pub fn save(path: &Path, context: &Context) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(context)
        .map_err(|error| Failure::new("output", format!("the context can't be written as JSON: {error}"), ""))?;
    bytes.push(b'\n');
    files::write_private(path, &bytes)
}

/// Keeps a context file that nobody else has: one that no `dev` wrote. (A `dev` has its own in its data folder.) Answers
/// where it is now.
///
/// # Errors
/// When it can't be moved.
pub fn set_aside(path: &Path) -> Result<Option<PathBuf>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named("can't read", path, &error)),
    };
    if parse(path, &bytes).is_ok_and(|context| context.data_dir.is_some()) {
        return Ok(None);
    }
    if !path.is_file() {
        return Err(Failure::usage(
            "bad_context",
            format!("{} is not a file that a context can be written to", path.shown()),
            "name another one with MUNIMENT_CONTEXT",
        ));
    }
    let free = |number: u32| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        let kept = path.with_file_name(name);
        (!kept.exists()).then_some(kept)
    };
    let Some(kept) = (1..=999).find_map(free) else {
        return Err(Failure::new(
            "io",
            format!("{} can't be kept: all names from .1 to .999 are taken", path.shown()),
            "remove old ones",
        ));
    };
    std::fs::rename(path, &kept).map_err(|error| io("can't move", path, &error))?;
    Ok(Some(kept))
}

/// The user's configuration folder: `$XDG_CONFIG_HOME/muniment`, else `~/.config/muniment`.
///
/// # Errors
/// When neither variable is set.
pub fn config_dir() -> Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .map(|base| base.join("muniment"))
        .ok_or_else(|| {
            Failure::usage(
                "no_home",
                "the user's configuration folder is unknown: neither XDG_CONFIG_HOME nor HOME is set",
                "set one of them, or name the files with MUNIMENT_CONTEXT and --trust",
            )
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn example() -> Context {
        Context {
            version: 1,
            server: "http://127.0.0.1:8400".to_owned(),
            api_key: "mnk_x".to_owned(),
            tenant: "demo".to_owned(),
            network: "notary".to_owned(),
            trust_root: Some("/d/trust-root.json".into()),
            data_dir: Some("/d".into()),
            identity: None,
        }
    }

    #[test]
    fn a_saved_context_comes_back_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        save(&path, &example()).unwrap();
        let choice = Choice {
            context: Some(path.clone()),
            ..Choice::default()
        };
        assert!(choice.load().unwrap() == example());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_what_a_dev_wrote_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        assert_eq!(set_aside(&path).unwrap(), None);
        save(&path, &example()).unwrap();
        assert_eq!(set_aside(&path).unwrap(), None);
        let own = Context {
            data_dir: None,
            ..example()
        };
        for number in 1..=2 {
            save(&path, &own).unwrap();
            let kept = set_aside(&path).unwrap().unwrap();
            assert_eq!(kept, folder.path().join(format!("context.json.{number}")));
            assert!(!path.exists() && kept.exists());
        }
        // A file of something else altogether is nobody's to write over.
        std::fs::write(&path, "{}").unwrap();
        assert!(set_aside(&path).unwrap().is_some());
    }

    #[test]
    fn flags_override_and_another_server_drops_the_trust_root() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        save(&path, &example()).unwrap();
        let choice = Choice {
            context: Some(path),
            server: Some("http://other/".to_owned()),
            api_key: Some("mnk_other".to_owned()),
            tenant: Some("acme".to_owned()),
            ..Choice::default()
        };
        let context = choice.load().unwrap();
        assert_eq!(
            (context.server.as_str(), context.tenant.as_str()),
            ("http://other", "acme")
        );
        assert_eq!((context.api_key.as_str(), context.trust_root), ("mnk_other", None));
    }

    #[test]
    fn a_stored_key_goes_to_its_own_server_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        save(&path, &example()).unwrap();
        let to = |server: &str| Choice {
            context: Some(path.clone()),
            server: Some(server.to_owned()),
            ..Choice::default()
        };
        for other in [
            "http://127.0.0.1:8401",
            "http://127.0.0.1:8400.example",
            "https://127.0.0.1:8400",
        ] {
            let error = to(other).load().err().unwrap();
            assert_eq!(
                (error.code.as_str(), error.class),
                ("no_api_key", crate::error::Class::Usage)
            );
            assert!(
                error.next.contains("MUNIMENT_API_KEY") && !error.to_string().contains("mnk_x"),
                "{error}"
            );
        }
        let own = to("http://127.0.0.1:8400/").load().unwrap();
        assert_eq!((own.api_key.as_str(), own.trust_root.is_some()), ("mnk_x", true));
    }

    #[test]
    fn another_tenant_of_the_same_dev_has_a_key_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        let own = Context {
            data_dir: Some(folder.path().to_owned()),
            ..example()
        };
        save(&path, &own).unwrap();
        let choice = |tenant: &str| Choice {
            context: Some(path.clone()),
            tenant: Some(tenant.to_owned()),
            ..Choice::default()
        };
        let acme = Context {
            tenant: "acme".to_owned(),
            network: "contracts".to_owned(),
            api_key: "mnk_acme".to_owned(),
            trust_root: None,
            ..own.clone()
        };
        save(&of_tenant(folder.path(), "acme"), &acme).unwrap();
        assert!(choice("acme").load().unwrap() == acme && choice("demo").load().unwrap() == own);
        for name in ["nobody", "../context", ""] {
            assert_eq!(choice(name).load().err().unwrap().code, "no_tenant");
        }
    }

    #[test]
    fn a_missing_broken_or_newer_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.json");
        let choice = Choice {
            context: Some(path.clone()),
            ..Choice::default()
        };
        assert_eq!(choice.load().err().unwrap().code, "io");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(choice.load().err().unwrap().code, "bad_context");
        save(
            &path,
            &Context {
                version: 2,
                ..example()
            },
        )
        .unwrap();
        assert_eq!(choice.load().err().unwrap().code, "newer_format");
    }
}
