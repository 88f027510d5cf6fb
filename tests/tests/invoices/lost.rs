//! `muniment invoice submit --auto-number` whose answer never comes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use muniment_tests::world::World;
use muniment_tests::{binary, poll};

use super::again::submit;
use super::{Day, form};

/// A way to the server on which the answer to every invoice is lost. Answers its URL.
fn without_answers(server: &str) -> String {
    let server = server.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut asks, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let lost = Arc::new(AtomicBool::new(false));
            let seen = lost.clone();
            std::thread::spawn(move || {
                relay(&mut asks, &mut server, |bytes| {
                    if bytes.starts_with(b"POST ") {
                        seen.store(true, Relaxed);
                    }
                    true
                })
            });
            std::thread::spawn(move || relay(&mut answers, &mut client, |_| !lost.load(Relaxed)));
        }
    });
    url
}

fn relay(from: &mut TcpStream, to: &mut TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 65_536];
    while let Ok(length) = from.read(&mut bytes) {
        if length == 0 || passes(&bytes[..length]) && to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_whose_answer_was_lost_takes_no_second_number() {
    let day = Day::begin().await;
    let world = &day.world;
    let draft = world.path("cut.json");
    let mut form = form("", "100");
    form.as_object_mut().unwrap().remove("number");
    std::fs::write(&draft, form.to_string()).unwrap();
    let numbers = async || {
        let listed = world.api().get("/invoices?series=CUT").await;
        let items = listed.body["invoices"].as_array().unwrap();
        items.iter().map(|one| one["number"].to_string()).collect::<Vec<_>>()
    };

    let server = without_answers(world.context()["server"].as_str().unwrap());
    let mut run = binary::command(&world.config())
        .args([
            "invoice",
            "submit",
            "--recipient",
            "buyer",
            "--series",
            "CUT",
            "--auto-number",
        ])
        .args(["--server", &server])
        .env("MUNIMENT_API_KEY", world.context()["apiKey"].as_str().unwrap())
        .arg(&draft)
        .spawn()
        .unwrap();
    poll::until("the invoice is registered", || async {
        (!numbers().await.is_empty()).then_some(())
    })
    .await;
    run.kill().unwrap();
    run.wait().unwrap();
    let remembered = || {
        let folder = std::fs::read_dir(draft.parent().unwrap()).unwrap();
        let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".sending")).count()
    };
    assert_eq!(remembered(), 1);

    let (code, told) = submit(world, &[&draft], &["--series", "CUT", "--auto-number"]);
    assert_eq!((code, numbers().await.len()), (0, 1), "{told:?}");
    let written = world.path("CUT-000001.json");
    assert_eq!(told[0]["done"]["document"], written.to_str().unwrap());
    assert_eq!(world.cli(["verify", written.to_str().unwrap()]).code, 0);
    assert_eq!(remembered(), 0);
    // From then on it is another invoice.
    let (code, told) = submit(world, &[&draft], &["--series", "CUT", "--auto-number"]);
    assert_eq!((code, numbers().await.len()), (0, 2), "{told:?}");
}
