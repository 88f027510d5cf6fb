//! The `muniment` binary, as a user would start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Path of the binary: `MUNIMENT_BIN`, else the one beside this test's own target folder, built when it is missing or
/// older than its sources: `cargo test --test NAME` builds no binary, and a scenario over old code proves nothing.
///
/// # Panics
/// When it can't be built.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("MUNIMENT_BIN") {
            return path.into();
        }
        // target/release/deps/scenario-<hash> → target/release/muniment
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
        let path = folder.join("muniment");
        if let Some(why) = stale(&path) {
            crate::say(&format!(
                "{} is not there as it should be ({why}): building it",
                path.display()
            ));
            build(&folder);
            assert!(path.exists(), "{} is missing; set MUNIMENT_BIN", path.display());
        }
        path
    })
}

/// What the binary is made of, below the workspace's folder.
const SOURCES: [&str; 19] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "api/Cargo.toml",
    "api/src",
    "cli/Cargo.toml",
    "cli/src",
    "crds/Cargo.toml",
    "crds/src",
    "invoices/Cargo.toml",
    "invoices/data",
    "invoices/src",
    "ledger/Cargo.toml",
    "ledger/src",
    "ledger/templates",
    "operator/Cargo.toml",
    "operator/src",
    "receipts/Cargo.toml",
    "receipts/src",
];

/// Why the binary is not the one of the present sources, if so. (Cargo writes what a binary is made of beside it only
/// when it was asked for the binary itself, so its list can't be relied on.)
fn stale(binary: &Path) -> Option<String> {
    let Ok(built) = modified(binary) else {
        return Some("it is missing".to_owned());
    };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let newer = SOURCES.iter().find_map(|source| newer(&root.join(source), built))?;
    Some(format!("{} is newer", newer.display()))
}

/// A file at or below a path that was changed after a time.
fn newer(path: &Path, than: SystemTime) -> Option<PathBuf> {
    if path.is_dir() {
        let mut entries = std::fs::read_dir(path).ok()?.flatten();
        return entries.find_map(|entry| newer(&entry.path(), than));
    }
    modified(path)
        .is_ok_and(|changed| changed > than)
        .then(|| path.to_owned())
}

fn modified(path: &Path) -> std::io::Result<SystemTime> {
    std::fs::metadata(path)?.modified()
}

fn build(folder: &Path) {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--workspace", "--target-dir"])
        .arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        command.arg("--release");
    }
    // What Cargo tells this test of its own package would make crates that read it anew, and all that depends on them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .unwrap();
    assert!(status.success(), "the binary can't be built; MUNIMENT_BIN can name one");
}

/// A command of the binary that sees nothing of the real user's configuration.
pub fn command(config: &Path) -> Command {
    let mut command = Command::new(path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MUNIMENT_") {
            command.env_remove(name);
        }
    }
    command
        .env("XDG_CONFIG_HOME", config)
        .env("HOME", config)
        .env("NO_COLOR", "1");
    command.stdin(std::process::Stdio::null());
    command
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code, -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs the binary with these arguments to its end.
///
/// # Panics
/// When it can't be started.
pub fn run<S: AsRef<std::ffi::OsStr>>(config: &Path, arguments: impl IntoIterator<Item = S>) -> Finished {
    command(config).args(arguments).output().unwrap().into()
}
