//! One run at a time over a directory, and nothing left of the one before.
//!
//! The claim is a file lock, which the system releases however we end. Beside it lies a list of
//! the processes that we started. Whoever gets the claim and finds that list inherits from a run
//! that was killed (`kill -9`, a crash) and first ends what still runs of it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::report::say;

/// The right to use a directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    lock: PathBuf,
    processes: PathBuf,
    /// Holds the lock.
    file: File,
}

/// A process that a run started. A process id alone could by now be somebody else's.
#[derive(Debug, PartialEq, Eq)]
struct Started {
    pid: i32,
    signal: i32,
    birth: String,
}

impl Claim {
    /// Claims `dir`, which is created if need be, for `command`.
    ///
    /// # Errors
    /// Another run has it; or the directory cannot be written.
    pub(crate) fn take(dir: &Path, command: &str) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let lock = dir.join("lock");
        let mut file = loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&lock)
                .with_context(|| format!("{} cannot be written", lock.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = fs::read_to_string(&lock).unwrap_or_default();
                    bail!("{}", held(command, holder.trim()));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be locked", lock.display()));
                }
            }
            // The one before may have removed the file between our opening and locking it.
            if is_same_file(&file, &lock) {
                break file;
            }
        };
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        let claim = Self { processes: dir.join("processes"), lock, file };
        claim.end_leftovers();
        Ok(claim)
    }

    /// Adds where this run can be reached, for whoever tries to claim the directory meanwhile.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn announce(&self, address: &str) -> Result<()> {
        Ok(write!(&self.file, " {address}")?)
    }

    /// The process that has claimed `dir`, if one has, and the address that it has announced.
    #[must_use]
    pub(crate) fn holder(dir: &Path) -> Option<(i32, Option<String>)> {
        let lock = dir.join("lock");
        // Whoever gets the lock, however briefly, has found nobody.
        let Err(TryLockError::WouldBlock) = File::open(&lock).ok()?.try_lock_shared() else {
            return None;
        };
        let holder = fs::read_to_string(lock).ok()?;
        let mut words = holder.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next().map(str::to_owned)))
    }

    /// Notes a process that must end with us, and by which signal.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(crate) fn note(&self, pid: u32, signal: Signal) -> Result<()> {
        let pid = i32::try_from(pid)?;
        let Some(birth) = birth(pid) else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(&self.processes)?;
        writeln!(file, "{pid} {} {birth}", signal.as_raw())?;
        Ok(())
    }

    fn end_leftovers(&self) {
        let Ok(noted) = fs::read_to_string(&self.processes) else { return };
        let alive: Vec<_> = noted.lines().filter_map(parse).filter(is_alive).collect();
        if !alive.is_empty() {
            say("An earlier run was killed and left processes behind; ending them");
        }
        // The last one started depends on the ones before it.
        for left in alive.iter().rev() {
            end(left);
        }
        let _ = fs::remove_file(&self.processes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.processes);
        let _ = fs::remove_file(&self.lock);
    }
}

fn held(command: &str, holder: &str) -> String {
    let (pid, address) = holder.split_once(' ').unwrap_or((holder, ""));
    let at = if address.is_empty() { String::new() } else { format!(" at {address}") };
    format!(
        "`cargo xtask {command}` already runs in this checkout{at} (process {pid}). \
         Stop that one first, with Ctrl-C or `kill {pid}`."
    )
}

fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

fn parse(line: &str) -> Option<Started> {
    let mut fields = line.splitn(3, ' ');
    Some(Started {
        pid: fields.next()?.parse().ok()?,
        signal: fields.next()?.parse().ok()?,
        birth: fields.next()?.to_owned(),
    })
}

fn is_alive(started: &Started) -> bool {
    birth(started.pid).is_some_and(|birth| birth == started.birth)
}

/// When a process started: ticks since boot on Linux, the date elsewhere. None if there is none.
fn birth(pid: i32) -> Option<String> {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        return birth_in_stat(&stat);
    }
    let mut ps = std::process::Command::new("ps");
    let date = crate::process::read(ps.args(["-o", "lstart=", "-p", &pid.to_string()])).ok()?;
    Some(date.trim().to_owned()).filter(|date| !date.is_empty())
}

/// Field 22 of `/proc/PID/stat`, counted behind the name, which may itself hold `) `. A zombie
/// has ended.
fn birth_in_stat(stat: &str) -> Option<String> {
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

fn end(started: &Started) {
    let (Some(group), Some(signal)) =
        (Pid::from_raw(started.pid), Signal::from_named_raw(started.signal))
    else {
        return;
    };
    for (signal, grace) in
        [(signal, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(2))]
    {
        // It may end by itself at any moment, which is fine.
        let _ = kill_process_group(group, signal);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if !is_alive(started) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_second_run_learns_who_runs_and_where() {
        let dir = scratch("second");
        assert_eq!(Claim::holder(&dir), None);
        let first = Claim::take(&dir, "dev").unwrap();
        first.announce("http://127.0.0.1:8080").unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Claim::holder(&dir), Some((pid, Some("http://127.0.0.1:8080".to_owned()))));
        let error = Claim::take(&dir, "dev").unwrap_err().to_string();
        assert!(error.contains("already runs"), "{error}");
        assert!(error.contains("http://127.0.0.1:8080"), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        assert!(!dir.join("lock").exists());
        drop(Claim::take(&dir, "dev").unwrap());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_ended() {
        let dir = scratch("leftover");
        let claim = Claim::take(&dir, "dev").unwrap();
        let mut left = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        claim.note(left.id(), Signal::TERM).unwrap();
        // As a kill -9 would: the lock is released, the files stay.
        let Claim { file, .. } = &claim;
        file.unlock().unwrap();
        std::mem::forget(claim);
        let waiter = std::thread::spawn(move || left.wait());
        drop(Claim::take(&dir, "dev").unwrap());
        assert!(!waiter.join().unwrap().unwrap().success());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_reused_process_id_is_left_alone() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stranger = Started { pid: own, signal: 15, birth: "1".to_owned() };
        assert!(!is_alive(&stranger));
        let we = Started { pid: own, signal: 15, birth: birth(own).unwrap() };
        assert!(is_alive(&we));
    }

    #[test]
    fn the_start_time_is_found_behind_odd_names() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(birth_in_stat(stat).as_deref(), Some("4242"));
        assert_eq!(birth_in_stat(&stat.replace(" S ", " Z ")), None);
        assert_eq!(birth_in_stat("nonsense"), None);
    }

    #[test]
    fn notes_are_read_back() {
        assert_eq!(
            parse("12 15 Mon Nov 23 08:00:00 2026"),
            Some(Started { pid: 12, signal: 15, birth: "Mon Nov 23 08:00:00 2026".to_owned() })
        );
        assert_eq!(parse("x"), None);
    }
}
