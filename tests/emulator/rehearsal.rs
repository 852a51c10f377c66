//! `cargo xtask rehearse`, with services that are made in a second: what it shows, and that it
//! leaves nothing. With the images of production it runs after the image tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tests::emulator::{Checkout, files};

/// How long a rehearsal may take. Machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(400);

/// What production refuses, and a migration that PostgreSQL refuses.
const REFUSALS: &str = "if [ \"$THROTTLE\" = off ]; then echo 'THROTTLE=off: not here'; exit 1; fi
if [ \"$1\" = migrate ] && [ -d /migrations/9999_rehearsed ]; then echo 'column exists'; exit 3; fi";

/// A workspace as far as the rehearsal looks at it.
fn workspace(name: &str) -> Checkout {
    let checkout = Checkout::new(name);
    let ecs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ecs");
    for file in ["stack.yml", "pipeline.toml"] {
        let text = fs::read_to_string(ecs.join(file)).unwrap();
        checkout.write(&format!("ecs/{file}"), &text);
    }
    let dockerfile = fs::read_to_string(checkout.root().join("Dockerfile.users")).unwrap();
    let migrations = "COPY services/users/migrations /migrations\n";
    checkout.write("Dockerfile.users", &(dockerfile + migrations));
    checkout.write("services/users/src/openapi.rs", "title = \"Users API\"\n");
    checkout.write(".gitignore", "target\n");
    checkout.prepend(REFUSALS);
    checkout
}

fn rehearse(checkout: &Checkout, arguments: &[&str]) -> Command {
    let program = std::env::var_os("XTASK_BIN").map(PathBuf::from);
    let program = program.unwrap_or_else(|| panic!("XTASK_BIN: run `cargo xtask test`"));
    let mut command = Command::new(program);
    command.arg("rehearse").args(arguments);
    // By this it knows where its workspace lies.
    command.env("CARGO_MANIFEST_DIR", checkout.root().join("xtask"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A rehearsal at work. Its outputs go to a file, which can be read meanwhile.
struct Running<'c> {
    checkout: &'c Checkout,
    child: Child,
}

impl<'c> Running<'c> {
    fn start(checkout: &'c Checkout, arguments: &[&str]) -> Self {
        fs::create_dir_all(checkout.root().join("target")).unwrap();
        let log = fs::File::create(checkout.root().join("target/log")).unwrap();
        let mut command = rehearse(checkout, arguments);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self { checkout, child: command.spawn().unwrap() }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.checkout.root().join("target/log")).unwrap()
    }

    fn until(&mut self, text: &str) {
        let start = Instant::now();
        while !self.said().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "no “{text}”:\n{}", self.said());
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn code(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.said());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Running<'_> {
    /// However the test ended.
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            let _ = rehearse(self.checkout, &["--stop"]).output();
        }
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    )
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything whose name is that of the rehearsal in `said`: containers, images, processes, files.
#[track_caller]
fn assert_nothing_left(checkout: &Checkout, said: &str) {
    let (_, name) = said.split_once("rehearsal-").unwrap_or_else(|| panic!("no name in {said}"));
    let id: String = name.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(id.len(), 8, "{said}");
    let containers =
        docker(&["ps", "--all", "--format", "{{.Names}} {{.Image}} {{.Labels}}", "--no-trunc"]);
    let images = docker(&["image", "ls", "--format", "{{.Repository}}"]);
    for (kind, list) in [("containers", containers), ("images", images)] {
        assert!(!list.contains(&format!("rehearsal-{id}")), "{kind}: {list}");
    }
    let state = checkout.root().join("target/rehearse");
    // With their environments, where the emulator is told its directory.
    let processes = Command::new("ps").args(["axeww", "-o", "args"]).output().unwrap();
    assert!(!text(&processes).contains(&*state.to_string_lossy()), "a process is left");
    assert_eq!(files(&state), Vec::<PathBuf>::new());
}

#[test]
fn each_end_is_shown_with_its_cause_and_nothing_is_left() {
    let checkout = workspace("rehearsed");
    let mut running = Running::start(&checkout, &[]);
    assert_eq!(running.code(), Some(0), "{}", running.said());
    let said = running.said();
    for text in [
        "└ CREATE_COMPLETE",
        "| seeded",
        "~ users    image sha256:",
        "| THROTTLE=off: not here",
        "Exit code 40, as it must be",
        "| column exists",
        "Exit code 30, as it must be",
        "rollout           as it must  exit   0",
        "broken image      as it must  exit  40",
        "broken migration  as it must  exit  30",
    ] {
        assert!(said.contains(text), "“{text}” is not in\n{said}");
    }
    assert_nothing_left(&checkout, &said);
}

#[test]
fn what_a_killed_rehearsal_has_left_is_cleared() {
    let checkout = workspace("killed");
    let mut running = Running::start(&checkout, &["--scenario", "rollout"]);
    running.until("seeded");
    let second = rehearse(&checkout, &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("already runs in this checkout"), "{}", text(&second));

    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let said = running.said();
    let cleared = rehearse(&checkout, &["--stop"]).output().unwrap();
    assert_eq!(cleared.status.code(), Some(0), "{}", text(&cleared));
    assert!(text(&cleared).contains("An earlier run was killed"), "{}", text(&cleared));
    assert_nothing_left(&checkout, &said);
}
