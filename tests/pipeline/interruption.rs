//! Ctrl-C, SIGTERM and SIGKILL in the middle of a push.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::checkout::{Checkout, Finished};
use crate::registry::Registry;

/// Longer than docker may take to end in order.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands before a registry and lets everything through but uploads: they never end.
struct Stalling {
    host: String,
    stalled: Receiver<()>,
}

impl Stalling {
    fn before(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (behind, (sender, stalled)) = (registry.host.clone(), channel());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (behind, sender) = (behind.clone(), sender.clone());
                std::thread::spawn(move || relay(client, &behind, &sender));
            }
        });
        Self { host, stalled }
    }
}

fn relay(mut client: TcpStream, behind: &str, stalled: &Sender<()>) {
    let Ok(mut server) = TcpStream::connect(behind) else { return };
    let (Ok(mut answers), Ok(mut back)) = (server.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = client.read(&mut buffer) {
        if read == 0 {
            break;
        }
        let request = &buffer[..read];
        if request.starts_with(b"POST ") {
            // The test may have ended meanwhile.
            let _ = stalled.send(());
            std::thread::park();
        }
        if server.write_all(request).is_err() {
            break;
        }
    }
}

/// A push that hangs in the middle, with the private directory that it uses.
fn hanging(checkout: &Checkout, registry: &Stalling) -> (Child, PathBuf) {
    let push = checkout.start(&["push", "--service", "users"]);
    registry.stalled.recv_timeout(Duration::from_secs(120)).expect("the push begins");
    let mut left = checkout.left_over().into_iter();
    let private = left
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("pipeline-docker-"))
        .expect("a private directory");
    let credentials = std::fs::read_to_string(private.join("config.json")).unwrap();
    assert!(credentials.contains(&registry.host), "{credentials}");
    (push, private)
}

fn signal(push: &Child, name: &str) {
    let id = push.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn finish(mut push: Child) -> Finished {
    let end = Instant::now() + PATIENCE;
    while push.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    Finished::from(push.wait_with_output().unwrap())
}

/// The processes whose command lines name this.
fn processes(text: &str) -> Vec<String> {
    let list = Command::new("ps").args(["-eo", "args="]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    list.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

async fn an_interrupted_push_leaves_nothing(name: &str) {
    let registry = Registry::start().await;
    let stalling = Stalling::before(&registry);
    let checkout = Checkout::new(&stalling.host);
    let (push, _) = hanging(&checkout, &stalling);
    assert!(!processes(&checkout.repository("users")).is_empty());
    signal(&push, name);
    let finished = finish(push);
    assert_eq!(finished.code, Some(130), "{}", finished.output());
    assert!(finished.stderr.ends_with("error: interrupted\n"), "{}", finished.stderr);
    assert_eq!(checkout.left_over(), Vec::<PathBuf>::new());
    assert_eq!(processes(&checkout.repository("users")), Vec::<String>::new());
}

#[tokio::test]
async fn ctrl_c_leaves_no_credentials_and_no_process() {
    an_interrupted_push_leaves_nothing("-INT").await;
}

#[tokio::test]
async fn sigterm_leaves_no_credentials_and_no_process() {
    an_interrupted_push_leaves_nothing("-TERM").await;
}

#[tokio::test]
async fn what_sigkill_leaves_is_removed_by_the_next_run() {
    let registry = Registry::start().await;
    let stalling = Stalling::before(&registry);
    let checkout = Checkout::new(&stalling.host);
    let (push, private) = hanging(&checkout, &stalling);
    signal(&push, "-KILL");
    finish(push);
    assert!(private.exists());
    for orphan in processes(&checkout.repository("users")) {
        assert!(orphan.contains("push"), "{orphan}");
    }
    checkout.configure(&format!("host = \"{}\"", registry.host));
    let after = checkout.start(&["push", "--service", "users"]).wait_with_output().unwrap();
    assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
    assert!(!private.exists());
}
