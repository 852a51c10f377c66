//! Other programs: `docker` and `git`, run to their end.
//!
//! Each gets a process group of its own. A Ctrl-C in the terminal then reaches only this program,
//! which ends the others with everything that they started.

use std::ffi::OsStr;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::interrupt::Stop;
use crate::secret::Secret;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// The work was given up because the person at the terminal, or whoever sent a signal, said so.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("`{program}` could not be started: {cause}")]
    Start { program: String, cause: std::io::Error },
    #[error("`{program}` could not be followed: {cause}")]
    Follow { program: String, cause: std::io::Error },
    #[error("`{program}` gave no answer within {} s", .limit.as_secs())]
    TimedOut { program: String, limit: Duration },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A program and its arguments, without our secrets in its environment.
#[must_use]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // What docker is to know of it goes in through standard input.
    command.env_remove(crate::config::PASSWORD_VARIABLE);
    command
}

/// Whether a program can be started by its name.
#[must_use]
pub(crate) fn is_here(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Runs a program that answers soon, and gives what it wrote.
///
/// # Errors
/// It could not be started, took too long or was interrupted. That it failed is no error.
pub(crate) async fn output(
    mut command: Command,
    input: Option<&Secret>,
    limit: Duration,
    stop: &Stop,
) -> Result<Output, ProcessError> {
    let program = name(&command);
    let mut running = Running::start(command.stdin(match input {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    }))?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (running.child.stdout.take(), running.child.stderr.take());
    let stdin = running.child.stdin.take();
    let finished = async {
        let write = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A program that needs no input may have closed it already.
                let _ = stdin.write_all(input.expose().as_bytes()).await;
            }
            Ok(())
        };
        tokio::try_join!(write, drain(out, &mut stdout), drain(err, &mut stderr))?;
        running.child.wait().await
    };
    let finished = tokio::select! {
        finished = tokio::time::timeout(limit, finished) => Some(finished),
        () = stop.wait() => None,
    };
    match finished {
        Some(Ok(Ok(status))) => {
            running.has_ended();
            Ok(Output { status, stdout, stderr })
        }
        Some(Ok(Err(cause))) => Err(ProcessError::Follow { program, cause }),
        Some(Err(_)) => {
            running.end(stop).await;
            Err(ProcessError::TimedOut { program, limit })
        }
        None => {
            running.end(stop).await;
            Err(Interrupted.into())
        }
    }
}

/// Runs a program and hands over each line that it writes, as it writes it.
///
/// # Errors
/// It could not be started, or was interrupted. That it failed is no error.
pub(crate) async fn follow(
    mut command: Command,
    stop: &Stop,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus, ProcessError> {
    let program = name(&command);
    let mut running = Running::start(command.stdin(Stdio::null()))?;
    let (sender, mut lines) = mpsc::channel(64);
    if let Some(out) = running.child.stdout.take() {
        tokio::spawn(send_lines(out, sender.clone()));
    }
    if let Some(err) = running.child.stderr.take() {
        tokio::spawn(send_lines(err, sender));
    }
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => on_line(&line),
                None => break,
            },
            () = stop.wait() => {
                running.end(stop).await;
                return Err(Interrupted.into());
            }
        }
    }
    tokio::select! {
        status = running.child.wait() => {
            running.has_ended();
            status.map_err(|cause| ProcessError::Follow { program, cause })
        }
        () = stop.wait() => {
            running.end(stop).await;
            Err(Interrupted.into())
        }
    }
}

/// The program with its first argument: enough to know which one is meant, and never a secret.
fn name(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(1));
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

async fn drain(stream: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(mut stream) = stream {
        tokio::io::AsyncReadExt::read_to_end(&mut stream, bytes).await?;
    }
    Ok(())
}

async fn send_lines(stream: impl AsyncRead + Unpin, sender: mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    // A stream that breaks has ended, for whoever reads it.
    while reader.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if sender.send(line).await.is_err() {
            break;
        }
        bytes.clear();
    }
}

/// A program that runs. Dropping it kills its whole group, unless it has ended.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, ProcessError> {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|cause| ProcessError::Start { program: name(command), cause })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group })
    }

    /// Ends the group: politely, and after the grace for good.
    async fn end(mut self, stop: &Stop) {
        self.signal(Signal::TERM);
        tokio::select! {
            _ = tokio::time::timeout(GRACE, self.child.wait()) => {}
            () = stop.insisted() => {}
        }
    }

    /// Its group's number may belong to another one from now on.
    fn has_ended(&mut self) {
        self.group = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The group may have ended by itself meanwhile: then there is nothing to do.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn input_goes_in_and_both_outputs_come_out() {
        let secret = Secret::new("hunter2".to_owned());
        let (program, limit) = (shell("cat; echo why >&2; exit 3"), Duration::from_secs(10));
        let output = output(program, Some(&secret), limit, &Stop::default()).await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"hunter2");
        assert_eq!(output.stderr, b"why\n");
    }

    #[tokio::test]
    async fn what_answers_too_late_is_ended() {
        let limit = Duration::from_millis(50);
        let run = output(shell("sleep 600"), None, limit, &Stop::default()).await;
        assert!(matches!(run, Err(ProcessError::TimedOut { .. })), "{run:?}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let limit = Duration::from_secs(1);
        let run = output(command("/nonexistent/tool"), None, limit, &Stop::default()).await;
        assert!(run.unwrap_err().to_string().contains("`/nonexistent/tool` could not be started"));
    }

    #[tokio::test]
    async fn lines_arrive_while_the_program_runs_and_a_stop_ends_it_with_its_children() {
        let stop = Stop::default();
        let mut child = None;
        let started = Instant::now();
        let run = follow(shell("sleep 600 & echo $!; wait"), &stop, |line| {
            child = line.parse::<i32>().ok();
            stop.request();
        });
        assert!(matches!(run.await, Err(ProcessError::Interrupted(_))));
        assert!(started.elapsed() < GRACE);
        let child = child.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Whoever adopts the orphan may take a moment to bury it.
        while std::fs::read_to_string(format!("/proc/{child}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            assert!(Instant::now() < deadline, "the program's child still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_time_limit_ends_it_in_the_same_way() {
        let started = Instant::now();
        let run = async |stop: &Stop| follow(shell("sleep 600"), stop, |_| {}).await;
        let ended = Stop::default().within(Duration::from_millis(50), run).await;
        assert!(ended.is_none() && started.elapsed() < GRACE);
    }

    #[tokio::test]
    async fn a_program_that_ignores_the_signal_is_killed_at_the_second_request() {
        let stop = Stop::default();
        let started = Instant::now();
        let run = follow(shell("trap '' TERM; echo up; while :; do sleep 1; done"), &stop, |_| {
            stop.request();
            stop.request();
        });
        assert!(matches!(run.await, Err(ProcessError::Interrupted(_))));
        assert!(started.elapsed() < GRACE);
    }
}
