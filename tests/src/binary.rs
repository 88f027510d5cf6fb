//! The `muniment` binary, as a user would start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Path of the binary: `MUNIMENT_BIN`, else the one beside this test's own target folder, built when it is missing.
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
        if !path.exists() {
            build(&folder);
        }
        assert!(
            path.exists(),
            "{} is missing; run `cargo build --release --workspace`",
            path.display()
        );
        path
    })
}

fn build(folder: &Path) {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--workspace", "--target-dir"])
        .arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .unwrap();
    assert!(status.success(), "the binary can't be built");
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
