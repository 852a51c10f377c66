//! A private cluster of an installed PostgreSQL server: its own data, its own port on the
//! loopback interface, no socket, no service of the system.
//!
//! PostgreSQL refuses to run as root; then it runs as the user `postgres`, which needs a way to
//! its data.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::{Cleanup, Purpose, Server, USER};
use crate::claim::Claim;
use crate::layout::Layout;
use crate::process::{self, Echo, Service};
use crate::report::say;

/// Where data go that root's own directories would hide from the user `postgres`.
const SYSTEM_DATA: &str = "/var/lib/users-workspace";

/// An installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The directory of `postgres`, `initdb` and their companions.
    bin: PathBuf,
    /// Its major version.
    major: u32,
}

impl Installed {
    /// The newest server on this machine.
    #[must_use]
    pub(crate) fn find() -> Option<Self> {
        Self::all().into_iter().max_by_key(|installed| installed.major)
    }

    /// The server that can read these data, or the newest if there are none yet.
    fn for_data(&self, data: &Path) -> Result<Self> {
        let Ok(version) = fs::read_to_string(data.join("PG_VERSION")) else {
            return Ok(self.clone());
        };
        let version = version.trim();
        Self::all().into_iter().find(|found| found.major.to_string() == version).with_context(|| {
            format!(
                "the data in {} are of PostgreSQL {version}, which is not installed (any more). \
                 Install it, or start over with `cargo xtask dev --fresh`.",
                data.display()
            )
        })
    }

    fn all() -> Vec<Self> {
        let versioned = |parent: &str, name: &str| -> Vec<PathBuf> {
            let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
            entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
                .map(|entry| entry.path().join("bin"))
                .collect()
        };
        // Debian and its kin; Red Hat's PostgreSQL packages; Homebrew on both kinds of Mac.
        let mut places = versioned("/usr/lib/postgresql", "");
        places.extend(versioned("/usr", "pgsql-"));
        places.extend(versioned("/opt/homebrew/opt", "postgresql@"));
        places.extend(versioned("/usr/local/opt", "postgresql@"));
        // Whatever else PATH leads to.
        if let Some(initdb) = process::which("initdb").and_then(|path| path.canonicalize().ok()) {
            places.extend(initdb.parent().map(Path::to_path_buf));
        }
        places.into_iter().filter_map(|bin| Self::at(&bin)).collect()
    }

    fn at(bin: &Path) -> Option<Self> {
        let complete = ["postgres", "initdb", "pg_isready", "createdb"]
            .iter()
            .all(|program| bin.join(program).is_file());
        if !complete {
            return None;
        }
        let version = process::read(Command::new(bin.join("postgres")).arg("--version")).ok()?;
        Some(Self { bin: bin.to_path_buf(), major: major(&version)? })
    }

    fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// The major version in, say, `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The account that the server runs as, if it is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// None unless we are root. Data that are there already stay with their owner.
    fn needed(data: &Path) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        if let Ok(owner) = fs::metadata(data)
            && owner.uid() != 0
        {
            return Ok(Some(Self { uid: owner.uid(), gid: owner.gid() }));
        }
        let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| account(&accounts, name))
            .map(Some)
            .context("PostgreSQL does not run as root, and there is no user `postgres` here")
    }
}

fn account(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        Some(Account { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

/// A program of PostgreSQL, as the account, in a directory that the account can enter.
fn command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/");
    command
}

/// Makes the cluster's directory and says where it is: `dir/postgres`, if the account can get
/// there.
fn home(
    layout: &Layout,
    dir: &Path,
    purpose: Purpose,
    account: Option<Account>,
) -> Result<PathBuf> {
    let wanted = dir.join("postgres");
    let make = |home: &Path| -> Result<()> {
        fs::create_dir_all(home).with_context(|| format!("{} cannot be made", home.display()))?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
        if let Some(Account { uid, gid }) = account {
            chown(home, Some(uid), Some(gid))
                .with_context(|| format!("{} cannot be given away", home.display()))?;
        }
        Ok(())
    };
    make(&wanted)?;
    let reachable = process::succeeds(command(Path::new("test"), account).arg("-w").arg(&wanted));
    if reachable {
        return Ok(wanted);
    }
    // Unless somebody's data are in it.
    let _ = fs::remove_dir(&wanted);
    let elsewhere = Path::new(SYSTEM_DATA).join(format!("{}-{}", purpose.word(), layout.id()));
    say(format_args!(
        "PostgreSQL's user cannot enter {}; its data go to {}",
        layout.root.display(),
        elsewhere.display()
    ));
    make(&elsewhere)?;
    Ok(elsewhere)
}

/// Starts a cluster whose data lie below `dir`.
pub(super) fn start(
    installed: &Installed,
    layout: &Layout,
    dir: &Path,
    purpose: Purpose,
    claim: &Claim,
    fresh: bool,
) -> Result<Server> {
    let account = Account::needed(&dir.join("postgres/data"))?;
    let mut home = home(layout, dir, purpose, account)?;
    let mut data = home.join("data");
    end_stale(&data)?;
    if fresh {
        fs::remove_dir_all(&home)?;
        home = self::home(layout, dir, purpose, account)?;
        data = home.join("data");
    }
    let installed = installed.for_data(&data)?;
    say(format_args!(
        "PostgreSQL {}: the installed one, data in {}",
        installed.major,
        layout.relative(&home)
    ));
    let password_file = home.join("password");
    let password = super::kept_password(&password_file)?;
    if let Some(Account { uid, gid }) = account {
        chown(&password_file, Some(uid), Some(gid))?;
    }
    let is_new = !data.join("PG_VERSION").exists();
    if is_new {
        initialise(&installed, &home, &data, &password_file, account)?;
    }
    let port = crate::port::free()?;
    let mut server = command(&installed.program("postgres"), account);
    server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories="] {
        server.args(["-c", setting]);
    }
    for setting in purpose.settings() {
        server.args(["-c", setting]);
    }
    // SIGINT is PostgreSQL's fast shutdown: it ends sessions and writes everything down.
    let mut service = Service::start("postgres", &mut server, Echo::Nothing)?
        .stops_with(Signal::INT, Duration::from_secs(20));
    claim.note(service.pid(), Signal::INT)?;
    let pg_isready = installed.program("pg_isready");
    super::wait_until_ready(&mut service, || super::answers(&pg_isready, port))?;
    if is_new && purpose.database() != "postgres" {
        let mut createdb = command(&installed.program("createdb"), None);
        createdb.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER]);
        process::read(createdb.env("PGPASSWORD", &password).arg(purpose.database()))?;
    }
    let cleanup = match purpose {
        Purpose::Development => Cleanup::Nothing,
        Purpose::Test | Purpose::Bench | Purpose::Rehearsal => Cleanup::Directory(home),
    };
    let url = super::url(&password, (Ipv4Addr::LOCALHOST, port).into(), purpose.database());
    Ok(Server { url, service: Some(service), cleanup })
}

/// Makes the data directory beside its final place, so that an interruption leaves none that is
/// half made.
fn initialise(
    installed: &Installed,
    home: &Path,
    data: &Path,
    password_file: &Path,
    account: Option<Account>,
) -> Result<()> {
    let unfinished = home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    // Not the machine's own locale: sorting and case must be those of production.
    let locale = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };
    let mut pwfile = std::ffi::OsString::from("--pwfile=");
    pwfile.push(password_file);
    let mut initdb = command(&installed.program("initdb"), account);
    initdb
        .args(["--no-sync", "--encoding=UTF8", "--auth=scram-sha-256", "--username", USER])
        .arg(format!("--locale={locale}"))
        .arg(pwfile)
        .arg("-D")
        .arg(&unfinished);
    process::read(&mut initdb).context("PostgreSQL's data directory cannot be made")?;
    fs::rename(&unfinished, data)?;
    Ok(())
}

/// Ends a server that a killed run left on these data. Usually the claim has done that already;
/// this also knows the one whose note was lost.
fn end_stale(data: &Path) -> Result<()> {
    let pid_file = data.join("postmaster.pid");
    let Ok(noted) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let Some(pid) = noted.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else {
        return Ok(());
    };
    let is_ours = || {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains(&*data.to_string_lossy()))
    };
    let Some(process) = rustix::process::Pid::from_raw(pid).filter(|_| is_ours()) else {
        return Ok(());
    };
    say(format_args!("An earlier run left PostgreSQL running (process {pid}); ending it"));
    for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
        let _ = rustix::process::kill_process(process, signal);
        for _ in 0..250 {
            if !is_ours() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    bail!("process {pid}, PostgreSQL on {}, does not end", data.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\npostgres:x:103:107:,,,:/var/lib:/bin/sh\n";
        assert_eq!(account(accounts, "postgres"), Some(Account { uid: 103, gid: 107 }));
        assert_eq!(account(accounts, "post"), None);
    }

    #[test]
    fn data_of_a_version_that_is_gone_are_not_touched() {
        let data = std::env::temp_dir().join(format!("xtask-version-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("PG_VERSION"), "8\n").unwrap();
        let installed = Installed { bin: PathBuf::from("/x"), major: 17 };
        let error = installed.for_data(&data).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 8") && error.contains("--fresh"), "{error}");
        fs::remove_dir_all(data).unwrap();
    }
}
