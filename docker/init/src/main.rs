//! Process 1 of our images: starts the service, hands signals through to it, and ends as it does.
//!
//! A process that the kernel kills for its memory cannot say so, and the last line of its log is
//! about something else. What is said here comes after that line.
//!
//! ```text
//! init PROGRAM [ARGUMENT…]
//! init --healthcheck PATH
//! ```
//!
//! The second form is for a service that cannot ask itself how it is, in an image that has nothing
//! else to do it with; see [`healthcheck`].
//!
//! Otherwise the exit code is that of the program, or 128 and the signal's number where one killed it, as
//! shells tell it; 127 where the program cannot be started.

mod healthcheck;

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, IsTerminal as _},
    process::{Command, ExitCode},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait},
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals,
};

/// Where a container finds how many of its processes were killed for their memory, by control groups
/// of version 2 and of version 1: <https://docs.kernel.org/admin-guide/cgroup-v2.html>,
/// "memory.events".
const EVENT_FILES: [&str; 2] =
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// What can be handed through.
const HANDED_THROUGH: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("init: which program? usage: init PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    if program == "--healthcheck" {
        return healthcheck::run(arguments.next().as_deref());
    }
    let name = program.to_string_lossy().into_owned();
    match run(&program, arguments) {
        Ok(status) => end(&name, status),
        Err(error) => {
            eprintln!("init: {name} could not be started: {error}");
            ExitCode::from(127)
        }
    }
}

/// Runs the program to its end.
fn run(
    program: &OsStr,
    arguments: impl Iterator<Item = impl AsRef<OsStr>>,
) -> io::Result<WaitStatus> {
    // Before the program starts: it may end, or be told to, at once.
    let mut signals = Signals::new(HANDED_THROUGH.iter().chain(&[SIGCHLD]))?;
    let child = Pid::from_child(&Command::new(program).args(arguments).spawn()?);
    // What is typed reaches every process of the terminal, without our doing.
    let typed: &[i32] = if io::stdin().is_terminal() { &[SIGINT, SIGQUIT] } else { &[] };
    for signal in &mut signals {
        if signal == SIGCHLD {
            if let Some(status) = reap(child)? {
                return Ok(status);
            }
        } else if !typed.contains(&signal)
            && let Some(signal) = Signal::from_named_raw(signal)
        {
            // Where it has just ended, that comes next.
            let _ = kill_process(child, signal);
        }
    }
    Err(io::Error::other("no more signals"))
}

/// Collects the processes that have ended: process 1 inherits what others leave behind. How `child`
/// ended, if it did.
fn reap(child: Pid) -> io::Result<Option<WaitStatus>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => return Ok(Some(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says what the program could not, and passes its end on.
fn end(name: &str, status: WaitStatus) -> ExitCode {
    let code = match status.terminating_signal() {
        Some(signal) => {
            eprintln!("init: {}", last_words(name, signal, killed_for_memory()));
            signal.saturating_add(128)
        }
        None => status.exit_status().unwrap_or(1),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn last_words(name: &str, signal: i32, for_memory: bool) -> String {
    if signal == Signal::KILL.as_raw() && for_memory {
        format!(
            "{name} was killed: out of memory. Raise the container's memory limit, or find what \
             takes so much"
        )
    } else {
        format!("{name} was killed by signal {signal}")
    }
}

/// Whether the kernel has killed a process of this container for its memory.
fn killed_for_memory() -> bool {
    let events = EVENT_FILES.iter().find_map(|file| fs::read_to_string(file).ok());
    events.is_some_and(|events| kills(&events) > 0)
}

/// How often, by what the file says.
fn kills(events: &str) -> u64 {
    let line = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|kills| kills.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_versions_of_control_groups() {
        let second = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(kills(second), 2);
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(kills("low 0\noom 0\noom_kill 0\n"), 0);
        assert_eq!(kills(""), 0);
    }

    #[test]
    fn memory_is_blamed_for_no_other_signal() {
        assert!(last_words("/users", 9, true).contains("out of memory"));
        assert_eq!(last_words("/users", 9, false), "/users was killed by signal 9");
        assert_eq!(last_words("/users", 11, true), "/users was killed by signal 11");
    }
}
