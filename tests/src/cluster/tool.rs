//! The tool that runs the cluster, and what is asked of it: charts, `kubectl`, connections from inside a pod.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Namespace and release of the chart.
pub const RELEASE: &str = "muniment";

/// Whether tests on the cluster are wanted; says so when they are not.
pub fn wanted(test: &str) -> bool {
    let wanted = std::env::var_os("MUNIMENT_CLUSTER").is_some();
    if !wanted {
        eprintln!("skipped: {test} needs a real Kubernetes; .ci/run cluster starts one");
    }
    wanted
}

/// Runs the cluster's tool with these words and this input. Answers what it wrote.
///
/// # Panics
/// When it fails.
pub fn tool(words: &[&str], input: &str) -> String {
    let (passed, text) = attempt(words, input);
    assert!(passed, "{words:?} failed: {text}");
    text
}

/// As [`tool`]; answers whether it passed.
///
/// # Panics
/// When there is no tool.
pub fn attempt(words: &[&str], input: &str) -> (bool, String) {
    let tool = std::env::var("MUNIMENT_CLUSTER_TOOL").expect("MUNIMENT_CLUSTER_TOOL names the tool of the cluster");
    let mut child = Command::new(tool)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        (true, text)
    } else {
        (false, text + &String::from_utf8_lossy(&output.stderr))
    }
}

/// `kubectl` with these words.
pub fn kubectl(words: &[&str]) -> String {
    tool(&[&["kubectl"], words].concat(), "")
}

/// Applies YAML as a user would.
pub fn apply(yaml: &str) -> String {
    tool(&["kubectl", "apply", "-f", "-"], yaml)
}

/// The image that is tested, as `NAME:TAG`.
pub fn image() -> String {
    std::env::var("MUNIMENT_IMAGE").unwrap_or_else(|_| "muniment:dev".to_owned())
}

/// Makes the API's pod anew after a scenario that killed it: the kubelet has it wait longer after each kill, and how long
/// isn't ours to test. Call it only when the scenario has passed.
pub fn forgive_kills() {
    let pod = format!("{RELEASE}-api-0");
    let path = "jsonpath={.status.containerStatuses[0].restartCount}";
    if kubectl(&["get", "pod", "-n", RELEASE, &pod, "-o", path]).trim() != "0" {
        kubectl(&["delete", "pod", "-n", RELEASE, &pod]);
    }
}

/// Installs both charts once in a test process, and waits until the API can work.
pub fn install() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/muniment-crds");
        tool(&["helm", "upgrade", "--install", "muniment-crds", crds], "");
        release(&image(), "");
    });
}

/// Installs the chart with an image and more settings (`name=value,…`), or changes what is installed, and waits until it
/// is rolled out.
///
/// # Panics
/// When it isn't.
pub fn release(image: &str, more: &str) {
    let (repository, tag) = image.split_once(':').expect("an image is NAME:TAG");
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/muniment");
    let settings = format!("image.repository={repository},image.tag={tag}");
    let settings = if more.is_empty() {
        settings
    } else {
        format!("{settings},{more}")
    };
    let words = [
        "helm",
        "upgrade",
        "--install",
        RELEASE,
        chart,
        "-n",
        RELEASE,
        "--create-namespace",
    ];
    let how = ["--set", &settings, "--wait", "--timeout", "180s"];
    tool(&[words.as_slice(), &how].concat(), "");
}

/// Address of a pod of the chart.
pub fn pod_address(namespace: &str, component: &str) -> String {
    let label = format!("app.kubernetes.io/component={component}");
    kubectl(&[
        "get",
        "pod",
        "-n",
        namespace,
        "-l",
        &label,
        "-o",
        "jsonpath={.items[0].status.podIP}",
    ])
}

/// Whether a TCP connection opens from the network of a process.
///
/// # Panics
/// When it can't be tried.
pub fn connects(pid: u32, address: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap();
    let open = format!("exec 3<>/dev/tcp/{host}/{port}");
    let words = ["-t", &pid.to_string(), "-n", "timeout", "2", "bash", "-c", &open].map(str::to_owned);
    let status = Command::new("nsenter")
        .args(words)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.success()
}
