//! Other programs: run to their end, or beside us.
//!
//! Each gets a process group of its own. A Ctrl-C in the terminal then reaches only this program,
//! which ends the others in the right order, with everything that they started.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt;

/// How often waiting looks again.
const TICK: Duration = Duration::from_millis(20);
/// How many of a program's last lines are kept, to be shown if it ends unexpectedly.
const LAST_LINES: usize = 20;

/// The cargo that runs us: under rustup, the one of the pinned toolchain.
#[must_use]
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where PATH has the program.
#[must_use]
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a program to its end with our own output, and gives its status.
///
/// # Errors
/// It could not be started, or we were interrupted (then it was stopped).
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    status_noting(command, |_| Ok(()))
}

/// As [`status`], for a program that must end with us: `note` gets its process id.
///
/// # Errors
/// As [`status`], and if the note cannot be made.
pub(crate) fn status_noting(
    command: &mut Command,
    note: impl FnOnce(u32) -> Result<()>,
) -> Result<ExitStatus> {
    interrupt::check()?;
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{} could not be started", name(command)))?;
    note(child.id())?;
    loop {
        if let Some(status) = child.try_wait()? {
            // A program that dies of the same signal must not look like a failure of its own.
            interrupt::check()?;
            return Ok(status);
        }
        if interrupt::requested() {
            // Long enough for a test runner to let its tests clean up.
            stop(&mut child, Signal::TERM, Duration::from_secs(20));
            return Err(interrupt::Interrupted.into());
        }
        std::thread::sleep(TICK);
    }
}

/// Runs a program that must succeed.
///
/// # Errors
/// As [`status`], and if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// Asks a program that answers at once; what it says on stderr is part of the error.
///
/// # Errors
/// It could not be started or failed.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} could not be started", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", name(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program that answers at once says yes.
#[must_use]
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A program's name with its first argument: enough to know which one is meant.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    match command.get_args().next().map(OsStr::to_string_lossy) {
        Some(first) => format!("`{program} {first} …`"),
        None => format!("`{program}`"),
    }
}

/// Ends a child's process group: politely, then after `grace` for good.
fn stop(child: &mut Child, signal: Signal, grace: Duration) {
    let group = Pid::from_child(child);
    // The group may have ended by itself meanwhile: then there is nothing to do.
    let _ = kill_process_group(group, signal);
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            break;
        }
        std::thread::sleep(TICK);
    }
    // Whoever is left of the group had its chance.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// What is shown of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Nothing; the last lines are kept all the same.
    Nothing,
    /// Each line, with the program's name before it. Lines that contain this text are dropped:
    /// they are neither shown nor kept.
    AllBut(&'static str),
}

impl Echo {
    fn drops(self, line: &str) -> bool {
        matches!(self, Self::AllBut(noise) if line.contains(noise))
    }
}

/// A program that runs beside us until it is stopped. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    stop_signal: Signal,
    grace: Duration,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(name: &'static str, command: &mut Command, echo: Echo) -> Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} could not be started ({})", self::name(command)))?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            readers.push(follow(name, output, echo, Arc::clone(&last_lines)));
        }
        if let Some(output) = child.stderr.take() {
            readers.push(follow(name, output, echo, Arc::clone(&last_lines)));
        }
        Ok(Self {
            name,
            child,
            stop_signal: Signal::TERM,
            grace: Duration::from_secs(5),
            last_lines,
            readers,
        })
    }

    /// Sets which signal ends it, and how long it may take.
    #[must_use]
    pub(crate) fn stops_with(mut self, signal: Signal, grace: Duration) -> Self {
        self.stop_signal = signal;
        self.grace = grace;
        self
    }

    /// Its process id.
    #[must_use]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails if it has ended, with its last lines.
    ///
    /// # Errors
    /// It has ended, for whatever reason.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        // Its pipes are closed now; let the readers take in what is left.
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = lines.iter().map(|line| format!("  {line}\n")).collect();
        bail!(
            "{} ended unexpectedly ({status}). Its last lines:\n{}",
            self.name,
            lines.concat().trim_end_matches('\n')
        );
    }

    /// Stops it and waits for its end.
    pub(crate) fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            stop(&mut self.child, self.stop_signal, self.grace);
        }
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

fn follow(
    name: &'static str,
    output: impl Read + Send + 'static,
    echo: Echo,
    last_lines: Arc<Mutex<VecDeque<String>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if echo.drops(&line) {
                continue;
            }
            if echo != Echo::Nothing {
                // A closed stdout must not stop us from reading: the program would block.
                let _ = writeln!(std::io::stdout(), "{name} │ {line}");
            }
            let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LAST_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_unexpected_end_shows_the_last_lines() {
        let mut service =
            Service::start("it", &mut shell("echo first; echo last >&2; exit 3"), Echo::Nothing)
                .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let error = loop {
            match service.check() {
                Err(error) => break error.to_string(),
                Ok(()) => assert!(Instant::now() < deadline, "it should have ended"),
            }
            std::thread::sleep(TICK);
        };
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("first") && error.contains("last"), "{error}");
    }

    #[test]
    fn stopping_ends_the_whole_group() {
        let mut service =
            Service::start("it", &mut shell("sleep 600 & echo $!; wait"), Echo::Nothing).unwrap();
        let child = loop {
            let lines = service.last_lines.lock().unwrap();
            if let Some(line) = lines.front() {
                break line.parse::<i32>().unwrap();
            }
            drop(lines);
            std::thread::sleep(TICK);
        };
        service.stop();
        let pid = Pid::from_raw(child).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Whoever adopts the orphan may take a moment to bury it.
        while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(child) {
            assert!(Instant::now() < deadline, "the service's child still runs");
            std::thread::sleep(TICK);
        }
    }

    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[test]
    fn a_service_that_ignores_its_signal_is_ended_all_the_same() {
        let mut service =
            Service::start("it", &mut shell("trap '' TERM; echo up; sleep 600"), Echo::Nothing)
                .unwrap()
                .stops_with(Signal::TERM, Duration::from_millis(100));
        while service.last_lines.lock().unwrap().is_empty() {
            std::thread::sleep(TICK);
        }
        let started = Instant::now();
        service.stop();
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn noise_does_not_push_out_the_last_lines() {
        let script = "echo why; for i in $(seq 100); do echo noise $i; done; exit 1";
        let mut service = Service::start("it", &mut shell(script), Echo::AllBut("noise")).unwrap();
        let error = loop {
            if let Err(error) = service.check() {
                break error.to_string();
            }
            std::thread::sleep(TICK);
        };
        assert!(error.contains("why") && !error.contains("noise"), "{error}");
    }

    #[test]
    fn errors_name_the_program() {
        let error = run(&mut Command::new("/nonexistent/tool")).unwrap_err();
        assert!(error.to_string().contains("`tool` could not be started"), "{error}");
        assert!(read(&mut shell("echo why >&2; exit 1")).unwrap_err().to_string().contains("why"));
    }
}
