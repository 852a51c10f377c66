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
const PATIENCE: Duration = Duration::from_mins(20);

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
    // Whatever is left there is left for good.
    let scratch = elsewhere(checkout);
    fs::create_dir_all(&scratch).unwrap();
    command.env("TMPDIR", &scratch).env("XDG_RUNTIME_DIR", &scratch);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Where a rehearsal would put files that it does not keep to itself.
fn elsewhere(checkout: &Checkout) -> PathBuf {
    checkout.root().with_file_name("scratch")
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
        self.until_the(1, text);
    }

    fn until_the(&mut self, time: usize, text: &str) {
        let start = Instant::now();
        while self.said().matches(text).count() < time {
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
    let state = state(checkout);
    // With their environments, where the emulator is told its directory.
    let processes = Command::new("ps").args(["axeww", "-o", "args"]).output().unwrap();
    assert!(!text(&processes).contains(&*state.to_string_lossy()), "a process is left");
    assert_eq!(files(&state), Vec::<PathBuf>::new());
    assert_eq!(files(&elsewhere(checkout)), Vec::<PathBuf>::new());
}

fn state(checkout: &Checkout) -> PathBuf {
    checkout.root().join("target/rehearse")
}

/// The volumes and networks of the rehearsal's containers, without those that Docker always has.
fn attached(said: &str) -> Vec<String> {
    const FORMAT: &str = "--format={{.Name}} {{.Config.Labels}}\t{{range .Mounts}}volume \
        {{.Name}}\t{{end}}{{range $name, $_ := .NetworkSettings.Networks}}network {{$name}}\t{{end}}";
    let (_, name) = said.split_once("rehearsal-").unwrap();
    let id: String = name.chars().take_while(char::is_ascii_hexdigit).collect();
    let running = docker(&["ps", "--quiet"]);
    let running: Vec<&str> = running.lines().collect();
    let listed = docker(&[&["inspect", FORMAT], &running[..]].concat());
    let ours = listed.lines().filter(|line| line.contains(&id));
    let things = ours.flat_map(|line| line.split('\t').skip(1)).map(str::trim);
    let usual = ["", "volume", "network bridge", "network host", "network none"];
    things.filter(|thing| !usual.contains(thing)).map(str::to_owned).collect()
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
fn what_a_killed_rehearsal_has_left_is_cleared_by_the_next() {
    let checkout = workspace("killed");
    let mut running = Running::start(&checkout, &["--scenario", "rollout"]);
    running.until("A second release");
    let second = rehearse(&checkout, &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("already runs in this checkout"), "{}", text(&second));
    // In the middle of the deploy, whose sources lie somewhere now.
    let places = [state(&checkout).join("tmp"), elsewhere(&checkout)];
    let start = Instant::now();
    while places.iter().all(|place| files(place).is_empty()) {
        assert!(start.elapsed() < PATIENCE, "no sources:\n{}", running.said());
        thread::sleep(Duration::from_millis(10));
    }
    let things = attached(&running.said());
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    // And what it has started, as when the machine has no memory left.
    let started = fs::read_to_string(state(&checkout).join("processes")).unwrap();
    for process in started.lines().map(|line| line.split(' ').next().unwrap()) {
        // It may have ended long ago.
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{process}")]).output();
    }

    let mut next = Running::start(&checkout, &["--scenario", "broken-migration"]);
    assert_eq!(next.code(), Some(0), "{}", next.said());
    assert_nothing_left(&checkout, &next.said());
    for thing in things {
        let (kind, name) = thing.split_once(' ').unwrap();
        let found = Command::new("docker").args([kind, "inspect", name]).output().unwrap();
        assert!(!found.status.success(), "{thing} is left");
    }
}

#[test]
fn an_interrupted_rehearsal_leaves_nothing_and_says_so() {
    let checkout = workspace("stopped");
    let mut running = Running::start(&checkout, &["--scenario", "rollout"]);
    running.until("A second release");
    // The line that tells of its rollout, not of the first one's.
    running.until_the(2, "roll      users");
    let id = running.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(running.code(), Some(130), "{}", running.said());
    assert_nothing_left(&checkout, &running.said());
}
