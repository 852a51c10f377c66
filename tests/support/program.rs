//! The `users` program as a process: its arguments, environment, output and exit code.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use crate::{Client, SECRET_KEY};

/// For RUST_LOG: warnings, and where the API listens, which [`Serving::start`] has to read.
pub const QUIET: &str = "warn,users::commands=info";

/// How long a command or a start may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The path of the `users` program.
pub fn path() -> PathBuf {
    std::env::var_os("USERS_BIN").map_or_else(|| beside_this_test("users"), PathBuf::from)
}

/// The path of a program that cargo has built with this test.
pub fn beside_this_test(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "the program {name} is not built: run `cargo xtask test`");
    path
}

/// The program with `arguments`, and `settings` as its whole environment.
fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).env_clear().envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Both outputs.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub fn succeeded(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.output());
        &self.stdout
    }

    /// The output of a command that must have failed with a clear message.
    #[track_caller]
    pub fn failed(&self) -> String {
        let output = self.output();
        assert!(self.code.is_some_and(|code| code != 0), "{:?}: {output}", self.code);
        assert_ne!(self.code, Some(101), "a panic: {output}");
        assert!(!output.contains("panicked"), "{output}");
        output
    }
}

/// Runs a command to its end.
pub fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Finished {
    run_with_input(arguments, settings, "")
}

/// Runs a command to its end with something on standard input.
pub fn run_with_input(arguments: &[&str], settings: &[(&str, &str)], input: &str) -> Finished {
    let mut child = command(arguments, settings).stdin(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input may have closed it already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let output = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let status = wait(&mut child, PATIENCE);
    Finished {
        code: status.and_then(|status| status.code()),
        stdout: output.join().unwrap(),
        stderr: errors.join().unwrap(),
    }
}

/// Waits for an end; kills what does not come to one.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// The lines that a process has written so far.
#[derive(Clone, Debug, Default)]
struct Lines {
    lines: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<String>,
    open: usize,
}

impl Lines {
    fn collect(&self, stream: impl Read + Send + 'static) {
        self.lines.0.lock().unwrap().open += 1;
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                lines.0.lock().unwrap().lines.push(line);
                lines.1.notify_all();
            }
            lines.0.lock().unwrap().open -= 1;
            lines.1.notify_all();
        });
    }

    /// The first thing that `find` makes of a line; `None` where there will be none.
    fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        let mut collected = self.lines.0.lock().unwrap();
        loop {
            if let Some(found) = collected.lines.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            if collected.open == 0 {
                return None;
            }
            collected = self.lines.1.wait_timeout(collected, left).unwrap().0;
        }
    }

    /// All lines, once the process has closed its outputs.
    fn all(&self) -> Vec<String> {
        let mut collected = self.lines.0.lock().unwrap();
        while collected.open > 0 {
            collected = self.lines.1.wait(collected).unwrap();
        }
        collected.lines.clone()
    }
}

/// `users serve`, running; killed with this value.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    lines: Lines,
    address: String,
}

impl Serving {
    /// Starts `users serve` for development on a free port, with more settings, or others.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("SECRET_KEY", SECRET_KEY), ("PORT", "0"), ("THROTTLE", "off")];
        all.extend_from_slice(settings);
        let mut child = command(&["serve"], &all).spawn().unwrap();
        let lines = Lines::default();
        lines.collect(child.stdout.take().unwrap());
        lines.collect(child.stderr.take().unwrap());
        let Some(address) = lines.wait_for(listening_address) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("users serve does not listen:\n{}", lines.all().join("\n"));
        };
        Self { child, lines, address }
    }

    /// The address that it listens on, as `127.0.0.1:5000`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    /// Where its metrics are, with a METRICS_PORT.
    pub fn metrics(&self) -> String {
        let url = self.lines.wait_for(|line| {
            let (_, rest) = line.split_once("metrics on ")?;
            let (address, _) = rest.split_once("/metrics")?;
            Some(format!("{address}/metrics"))
        });
        url.expect("users serve has no metrics")
    }

    /// Waits until a line of the log says this.
    pub fn says(&self, text: &str) {
        let said = self.lines.wait_for(|line| line.contains(text).then_some(()));
        said.unwrap_or_else(|| panic!("users serve does not say {text}"));
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a container's runtime does.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end, which must be a good one, and lets others run meanwhile.
    pub async fn ended(&mut self) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "users serve does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(status.success(), "{status}: {}", self.lines.all().join("\n"));
    }

    /// Waits for its end: the exit code and all that it has written.
    pub fn finish(mut self) -> (Option<i32>, Vec<String>) {
        let status = wait(&mut self.child, PATIENCE);
        (status.and_then(|status| status.code()), self.lines.all())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says where the API listens, in either format of the log.
fn listening_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on http://")?;
    Some(rest.chars().take_while(|c| c.is_ascii_hexdigit() || ".:[]".contains(*c)).collect())
}
