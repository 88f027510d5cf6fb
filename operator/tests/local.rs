//! What only the local backend has: processes, folders, logs, events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/harness.rs"]
mod harness;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use harness::{Harness, LocalHarness, catalog, fake_config, kill, members, network, open, resource, until};
use muniment_crds::condition::{is_true, kind};
use muniment_operator::{
    Backend, DataDir, DataDirError, Desired, Event, Local, LocalBackend, LocalConfig, NodeState, PidFile, What,
};
use tokio::sync::broadcast::Receiver;

async fn ready(local: &LocalHarness) {
    let plan = local.plan().await;
    until("all nodes are ready", || async {
        let seen = local.backend.apply(&plan).await.unwrap();
        seen.nodes.iter().all(|n| n.ready()).then_some(())
    })
    .await;
}

/// Waits until the watcher has told of every node and of the quorum: what it never saw it can't tell the end of.
async fn all_told(events: &mut Receiver<Event>) {
    let (mut nodes, mut quorum) = (BTreeSet::new(), false);
    while nodes.len() < 4 || !quorum {
        let event = next(events).await;
        match event.what {
            What::Ready { .. } => nodes.extend(event.validator),
            What::QuorumReady { .. } => quorum = true,
            _ => {}
        }
    }
}

async fn next(events: &mut Receiver<Event>) -> Event {
    tokio::time::timeout(Duration::from_secs(30), events.recv())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_as_written_down_and_secrets_are_private() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let root = local.folder.path();
    let mode = |path: &str| std::fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    let net = "networks/demo/notary";
    for shared in ["genesis.json", "trust-root.json", "revision"] {
        assert!(root.join(net).join(shared).exists(), "{shared}");
    }
    let secret = [
        "allocation.json",
        "keys/validator-0.json",
        "validator-0/node.json",
        "validator-0/validator-0/keys.json",
    ];
    for path in secret {
        assert_eq!(mode(&format!("{net}/{path}")), 0o600, "{path}");
    }
    assert_eq!(mode(&format!("{net}/keys")), 0o700);
    let log = std::fs::read_to_string(root.join("logs/demo-notary-validator-0.log")).unwrap();
    assert!(log.contains("listening on 127.0.0.1:"), "{log}");
    let events = std::fs::read_to_string(root.join("logs/muniment.log")).unwrap();
    assert!(
        events.contains("demo/notary validator-0: started as process"),
        "{events}"
    );
    let entries = local.backend.networks().await;
    assert_eq!(entries[0].nodes.len(), 4);
    assert_eq!(
        std::fs::read(root.join(net).join("trust-root.json")).unwrap(),
        entries[0].trust_root
    );
    assert!(
        !format!("{entries:?}").contains(&entries[0].nodes[0].token),
        "the token stays out of logs"
    );
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_folder_is_made_anew_with_the_same_keys() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let folder = local.node_folder("validator-1");
    let keys = std::fs::read(folder.join("validator-1/keys.json")).unwrap();
    let pid = local.pid("validator-1");
    std::fs::remove_dir_all(&folder).unwrap();
    kill(pid);
    until("validator-1 is back", || async {
        let seen = local.backend.observe(&network()).await.unwrap().unwrap();
        (seen.nodes[1].restarts == 1 && seen.nodes[1].ready()).then_some(())
    })
    .await;
    assert_eq!(std::fs::read(folder.join("validator-1/keys.json")).unwrap(), keys);
    assert!(
        folder.join("validator-1/joined").exists(),
        "the node must know that its keys may have signed what it forgot"
    );
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_its_folder_is_not_told_that_it_forgot() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    local.kill("validator-1");
    until("validator-1 is back", || async {
        let seen = local.backend.observe(&network()).await.unwrap().unwrap();
        (seen.nodes[1].restarts == 1 && seen.nodes[1].ready()).then_some(())
    })
    .await;
    // Were every node of a new network marked, none would ever vote.
    let local = local.restart().await;
    ready(&local).await;
    for index in 0..4 {
        let name = format!("validator-{index}");
        assert!(!local.node_folder(&name).join(&name).join("joined").exists(), "{name}");
    }
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_the_story_of_a_death() {
    let local = LocalHarness::new().await;
    let mut events = local.backend.events();
    ready(&local).await;
    all_told(&mut events).await;
    local.kill("validator-0");
    let mut lines = Vec::new();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(event.network, network());
        lines.push(event.to_string());
        if event.validator.as_deref() == Some("validator-0") && matches!(event.what, What::Ready { .. }) {
            break;
        }
    }
    let story = lines.join("\n");
    for part in [
        "validator-0: ended (killed by signal 9)",
        "restarting in",
        "started as process",
        "ready at height",
    ] {
        assert!(story.contains(part), "{part} is missing in:\n{story}");
    }
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quorum_lost_and_regained_is_told() {
    let local = LocalHarness::new().await;
    let mut events = local.backend.events();
    ready(&local).await;
    all_told(&mut events).await;
    local.hold("validator-0", true);
    local.hold("validator-1", true);
    let lost = loop {
        let event = next(&mut events).await;
        if matches!(event.what, What::QuorumLost { .. }) {
            break event.to_string();
        }
    };
    assert!(lost.contains("2 of 4 validators are ready, 3 are needed"), "{lost}");
    local.hold("validator-0", false);
    while !matches!(next(&mut events).await.what, What::QuorumReady { ready: 3, .. }) {}
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cant_run_backs_off_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalConfig {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "echo the disk is on fire >&2; exit 7".into()],
        ..fake_config()
    };
    let local = Local::start(DataDir::open(folder.path()).unwrap(), config, catalog()).unwrap();
    let status = until("a node has died twice", || async {
        let status = local.reconcile(&resource(), &members()).await.unwrap();
        (status.nodes[0].restarts >= 2).then_some(status)
    })
    .await;
    assert_eq!(
        status.nodes[0].last_exit.as_deref(),
        Some("exit code 7: the disk is on fire")
    );
    assert!(!is_true(&status.conditions, kind::READY));
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_isnt_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalConfig {
        program: "/nowhere/muniment".into(),
        ..fake_config()
    };
    let local = Local::start(DataDir::open(folder.path()).unwrap(), config, catalog()).unwrap();
    until("the failure is told", || async {
        let status = local.reconcile(&resource(), &members()).await.unwrap();
        let exit = status.nodes[0].last_exit.clone().unwrap_or_default();
        exit.contains("/nowhere/muniment can't be run").then_some(())
    })
    .await;
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_is_quick_and_leaves_no_process() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let folders: Vec<_> = (0..4).map(|i| local.node_folder(&format!("validator-{i}"))).collect();
    assert!(folders.iter().all(|f| PidFile::holder(f).unwrap().is_some()));
    local.backend.stop().await;
    assert!(folders.iter().all(|f| PidFile::holder(f).unwrap().is_none()));
    let error = local.backend.apply(&local.plan().await).await.unwrap_err();
    assert!(error.to_string().contains("stopping"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_node_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalConfig {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "trap '' TERM; echo deaf; while :; do sleep 1; done".into()],
        ..fake_config()
    };
    let local = Local::start(DataDir::open(folder.path()).unwrap(), config, catalog()).unwrap();
    local.reconcile(&resource(), &members()).await.unwrap();
    let log = folder.path().join("logs/demo-notary-validator-0.log");
    until("the node runs", || async {
        std::fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("deaf")
            .then_some(())
    })
    .await;
    // Not a measurement: a deaf node would otherwise be waited for without end.
    tokio::time::timeout(Duration::from_secs(30), local.stop())
        .await
        .expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_of_a_killed_supervisor_is_stopped_first() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let folder = local.node_folder("validator-0");
    let local = {
        let LocalHarness { folder, backend, .. } = local;
        backend.stop().await;
        drop(backend);
        folder
    };
    // As if the supervisor had been killed and this node hadn't noticed: no `--parent`.
    let mut orphan = tokio::process::Command::new(env!("CARGO_BIN_EXE_muniment-fake-node"))
        .args(["node", "--config"])
        .arg(&folder)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = orphan.id().unwrap();
    until("the orphan holds its folder", || async {
        (PidFile::holder(&folder).unwrap() == Some(Some(pid))).then_some(())
    })
    .await;
    let backend = open(local.path());
    let mut events = backend.events();
    let kept = Local::over(backend, catalog());
    kept.reconcile(&resource(), &members()).await.unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv())
            .await
            .unwrap()
            .unwrap();
        if event.what == (What::OrphanStopped { pid }) {
            break;
        }
    }
    orphan.wait().await.unwrap();
    until("all nodes are ready", || async {
        let status = kept.reconcile(&resource(), &members()).await.unwrap();
        (status.validators.ready == 4).then_some(())
    })
    .await;
    kept.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_dont_outlive_their_supervisor() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let folder = local.node_folder("validator-0");
    local.backend.stop().await;
    let start = |parent: u32| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_muniment-fake-node"))
            .args(["node", "--config"])
            .arg(&folder)
            .args(["--parent", &parent.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let mut node = start(std::process::id());
    let lifeline = node.stdin.take().unwrap();
    until("the node runs", || async {
        PidFile::holder(&folder).unwrap().flatten()
    })
    .await;
    assert!(
        node.try_wait().unwrap().is_none(),
        "it runs while its supervisor holds the other end"
    );
    // What the kernel does when the supervisor dies, by whatever death.
    drop(lifeline);
    tokio::time::timeout(Duration::from_secs(30), node.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(PidFile::holder(&folder).unwrap(), None);
    // The supervisor died before the node could look: its parent is another one by then.
    let mut late = start(1);
    let _lifeline = late.stdin.take().unwrap();
    tokio::time::timeout(Duration::from_secs(30), late.wait())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_supervisor_per_folder() {
    let local = LocalHarness::new().await;
    let error = DataDir::open(local.folder.path()).unwrap_err();
    assert!(matches!(error, DataDirError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_side_by_side_share_no_port() {
    let local = LocalHarness::new().await;
    let mut other = resource();
    other.metadata.name = Some("second".to_owned());
    let both = [resource(), other].map(|r| muniment_operator::validate(&r, &members(), &catalog()).unwrap());
    let mut ports = Vec::new();
    for network in &both {
        let facts = local.backend.allocate(network).await.unwrap();
        ports.extend(facts.seats.iter().flat_map(|s| [s.api.port(), s.consensus.port()]));
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 16);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_keeps_a_network_and_rolls_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start(DataDir::open(folder.path()).unwrap(), fake_config(), catalog()).unwrap();
    let wish = |resource| {
        vec![Desired {
            resource,
            members: members(),
        }]
    };
    let controller = local.keep(wish(resource()));
    let mut outcomes = controller.outcomes();
    let settled = |o: &std::collections::BTreeMap<String, muniment_operator::controller::Outcome>| {
        let status = o.get("demo/notary").and_then(|o| o.as_ref().ok());
        status.is_some_and(|s| s.validators.ready == 4 && !is_true(&s.conditions, kind::PROGRESSING))
    };
    let limit = Duration::from_secs(60);
    let first = tokio::time::timeout(limit, outcomes.wait_for(settled))
        .await
        .unwrap()
        .unwrap()
        .clone();
    let first = first["demo/notary"].as_ref().unwrap().revision.clone();
    let mut changed = resource();
    changed.spec.limits.block_actions = Some(2000);
    controller.want(wish(changed.clone()));
    let rolled = |o: &std::collections::BTreeMap<String, muniment_operator::controller::Outcome>| {
        settled(o)
            && o["demo/notary"]
                .as_ref()
                .is_ok_and(|s| s.revision != first && s.nodes.iter().all(|n| n.height == 2000))
    };
    tokio::time::timeout(limit, outcomes.wait_for(rolled))
        .await
        .unwrap()
        .unwrap();
    // Something that can't be: told, and what runs goes on.
    changed.spec.validators.count = 2;
    controller.want(wish(changed));
    let refused = tokio::time::timeout(limit, outcomes.wait_for(|o| o["demo/notary"].is_err()))
        .await
        .unwrap()
        .unwrap();
    assert!(
        refused["demo/notary"]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("use 4, 7 or 10")
    );
    drop(refused);
    let seen = local.look(&network()).await.unwrap().unwrap();
    assert_eq!(seen.validators.ready, 4);
    drop(controller);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_stop_the_start_and_say_so() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let folder = local.folder.path().join("networks/demo/notary/keys");
    let LocalHarness {
        folder: data, backend, ..
    } = local;
    backend.stop().await;
    drop(backend);
    std::fs::remove_file(folder.join("validator-3.json")).unwrap();
    let local = Local::start(DataDir::open(data.path()).unwrap(), fake_config(), catalog()).unwrap();
    let error = local.reconcile(&resource(), &members()).await.unwrap_err();
    assert!(!error.retry() && error.to_string().contains("validator-3"), "{error}");
    let seen = local.backend().observe(&network()).await.unwrap().unwrap();
    assert!(seen.nodes.iter().all(|n| n.state == NodeState::Stopped));
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_port_that_somebody_else_took_is_named_before_any_node_is_started() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let seats = local.backend.allocate(&local.validated()).await.unwrap().seats;
    let LocalHarness { folder, backend, .. } = local;
    backend.stop().await;
    drop(backend);
    let local = Local::over(open(folder.path()), catalog());
    for address in [seats[1].api, seats[1].consensus] {
        let _taken = std::net::TcpListener::bind(address).unwrap();
        let error = local.reconcile(&resource(), &members()).await.unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("validator-1") && told.contains(&address.to_string()),
            "{told}"
        );
        assert!(error.retry(), "it may be a process that is just ending");
        let seen = local.backend().observe(&network()).await.unwrap().unwrap();
        assert!(seen.nodes.iter().all(|n| n.state == NodeState::Stopped));
    }
    local.reconcile(&resource(), &members()).await.unwrap();
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_in_the_sealed_genesis_cannot_sign_and_nothing_is_started() {
    let local = LocalHarness::new().await;
    ready(&local).await;
    let LocalHarness { folder, backend, .. } = local;
    backend.stop().await;
    drop(backend);
    let local = Local::over(open(folder.path()), catalog());
    let mut stranger = members();
    stranger[0].key = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw".into();
    let error = local.reconcile(&resource(), &stranger).await.unwrap_err();
    assert!(
        !error.retry() && error.to_string().contains("not a member of demo/notary"),
        "{error}"
    );
    let seen = local.backend().observe(&network()).await.unwrap().unwrap();
    assert!(seen.nodes.iter().all(|n| n.state == NodeState::Stopped));
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_our_own_process_is_sent_the_token() {
    let folder = tempfile::tempdir().unwrap();
    // A process that runs but never claims its folder, so that it can't be the one that listens on its port.
    let config = LocalConfig {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "echo here; exec sleep 60".into()],
        ..fake_config()
    };
    let local = Local::start(DataDir::open(folder.path()).unwrap(), config, catalog()).unwrap();
    local.reconcile(&resource(), &members()).await.unwrap();
    let networks = local.networks().await;
    let address = networks[0].nodes[0].url.strip_prefix("http://").unwrap().to_owned();
    let thief = std::net::TcpListener::bind(address).unwrap();
    thief.set_nonblocking(true).unwrap();
    let log = folder.path().join("logs/demo-notary-validator-0.log");
    until("the process runs", || async {
        std::fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("here")
            .then_some(())
    })
    .await;
    let seen = local.backend().observe(&network()).await.unwrap().unwrap();
    assert_eq!(
        (seen.nodes[0].state, &seen.nodes[0].answer),
        (NodeState::Starting, &None)
    );
    let nobody = thief.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    local.stop().await;
}

fn _is_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Local>();
    check::<LocalBackend>();
}
