//! Docker as a person uses it: the program `docker`, and containers that go when the test ends.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long a container may take to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How each image must be able to run.
pub(crate) const HARDENED: [&str; 6] = [
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=10001",
    "--memory=300m",
    "--memory-swap=300m",
];

/// Runs `docker` and gives what it wrote to standard output.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs `docker`, whatever comes of it.
pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker")
}

/// Both outputs of a command.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A directory that programs in containers can read, who are other users.
pub(crate) fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

/// An image under test.
pub(crate) struct Image(String);

impl Image {
    /// The one that the variable names.
    pub(crate) fn named_by(variable: &str) -> Self {
        Self(std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} names no image: run `cargo xtask test --images`, which builds it")
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// What `docker image inspect` says of it.
    pub(crate) fn inspect(&self) -> Value {
        let inspected: Value =
            serde_json::from_str(&docker(&["image", "inspect", &self.0])).unwrap();
        inspected[0].clone()
    }

    /// Its size, uncompressed, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.inspect()["Size"].as_u64().unwrap()
    }

    /// Copies the file at `path` out of it.
    pub(crate) fn copy(&self, path: &str, to: &Path) {
        let container = docker(&["create", &self.0]);
        docker(&["cp", &format!("{container}:{path}"), to.to_str().unwrap()]);
        docker(&["rm", "--volumes", &container]);
    }

    /// Has its process 1 start a program that takes all the memory that it gets: the last line of the
    /// log says why it ended. The program comes from another image: those in ours know their limit.
    #[track_caller]
    pub(crate) fn says_that_memory_has_ended(&self) {
        let directory = open_directory();
        let init = directory.path().join("init");
        self.copy("/init", &init);
        let volume = format!("--volume={}:/init:ro", init.display());
        let memory = ["--memory=32m", "--memory-swap=32m"];
        let program = ["--entrypoint=/init", "postgres:17", "tail", "/dev/zero"];
        let container = Container::start(&[&HARDENED[..], &memory, &[&volume], &program].concat());
        let code = container.wait();
        let log = container.logs();
        assert_eq!(code, 137, "{log}");
        assert!(container.is_out_of_memory(), "{log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(last.starts_with("init: tail was killed: out of memory"), "{log}");
    }

    /// The files and directories in it, without those that Docker puts into every container.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let container = docker(&["create", &self.0]);
        let export = Command::new("docker").args(["export", &container]).output().unwrap();
        docker(&["rm", "--volumes", &container]);
        assert!(export.status.success());
        let mut tar = Command::new("tar")
            .arg("--list")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar");
        let mut input = tar.stdin.take().unwrap();
        let writer = std::thread::spawn(move || input.write_all(&export.stdout));
        let list = tar.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        String::from_utf8(list.stdout)
            .unwrap()
            .lines()
            .filter(|path| !is_dockers_own(path))
            .map(str::to_owned)
            .collect()
    }
}

fn is_dockers_own(path: &str) -> bool {
    let mounts = ["dev/", "proc/", "sys/"].iter().any(|mount| path.starts_with(mount));
    let files = ["etc/", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", ".dockerenv"];
    mounts || files.contains(&path)
}

/// A container that is removed when the test ends.
pub(crate) struct Container {
    id: String,
}

impl Container {
    /// Starts one in the background.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self { id: docker(&[&["run", "--detach"], arguments].concat()) }
    }

    /// Runs one to its end: its exit code and what it logged.
    #[track_caller]
    pub(crate) fn run(arguments: &[&str]) -> (i64, String) {
        let container = Self::start(arguments);
        let code = container.wait();
        (code, container.logs())
    }

    fn state(&self) -> Value {
        serde_json::from_str(&docker(&["inspect", "--format={{json .State}}", &self.id])).unwrap()
    }

    /// The address of its `port`, from this machine. Its own, not a published one: a proxy
    /// before it would accept connections that the service has not.
    pub(crate) fn address(&self, port: u16) -> String {
        let format = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        format!("{}:{port}", docker(&["inspect", format, &self.id]))
    }

    /// Waits until its `port` accepts connections, and gives the address.
    #[track_caller]
    pub(crate) fn listening(&self, port: u16) -> String {
        let address = self.address(port);
        self.until("listening", || TcpStream::connect(&address).is_ok());
        address
    }

    /// Waits until its health check has passed.
    #[track_caller]
    pub(crate) fn healthy(&self) {
        self.until("healthy", || self.state()["Health"]["Status"] == "healthy");
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            let state = self.state();
            let runs = state["Running"] == true && start.elapsed() < PATIENCE;
            assert!(runs, "not {what}: {state}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `docker stop`, as a service's scheduler does it; how long it took.
    pub(crate) fn stop(&self) -> Duration {
        let start = Instant::now();
        docker(&["stop", "--time=30", &self.id]);
        start.elapsed()
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn wait(&self) -> i64 {
        docker(&["wait", &self.id]).parse().unwrap()
    }

    /// Whether the kernel killed it for its memory.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.state()["OOMKilled"] == true
    }

    /// What it wrote to both outputs, in the order of its writing.
    pub(crate) fn logs(&self) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("docker");
        command.args(["logs", &self.id]).stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().expect("docker");
        // It holds the other end, too.
        drop(command);
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        child.wait().unwrap();
        log
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        try_docker(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// The workspace's root, where the compose files lie.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
