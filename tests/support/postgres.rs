//! A PostgreSQL server of one test's own, for tests that stop it or need TLS.
//!
//! From the installed server's programs if there are any, else in a container.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

use crate::guard::{Guarded, free_port};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing here has to survive a crash of the machine; what is committed survives the server's.
const CARELESS: [&str; 4] = ["-c", "fsync=off", "-c", "full_page_writes=off"];

/// What the data directories' names begin with; the process's number follows.
const PREFIX: &str = "users-test-cluster-";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The server's certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A running PostgreSQL server; it and its data are gone with this value.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Installed { cluster: Cluster, server: Option<Guarded> },
    Container { id: String },
}

impl Postgres {
    /// A server without TLS.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// A server that offers TLS.
    pub async fn start_with_tls(certificate: &Certificate) -> Self {
        Self::start_with(Some(certificate)).await
    }

    async fn start_with(certificate: Option<&Certificate>) -> Self {
        let server = if let Some(programs) = installed_programs() {
            let mut cluster = Cluster::create(programs, certificate);
            // As late as can be: nobody holds it for us.
            cluster.port = free_port();
            let (port, server) = (cluster.port, Some(cluster.serve()));
            Self { port, backend: Backend::Installed { cluster, server } }
        } else {
            let port = free_port();
            Self { port, backend: Backend::Container { id: create_container(port, certificate) } }
        };
        server.answers().await;
        server
    }

    /// The address of `database`, with `host` being `127.0.0.1` or `localhost`.
    pub fn url_at(&self, host: &str, database: &str) -> String {
        format!("postgres://postgres:postgres@{host}:{}/{database}", self.port)
    }

    /// The address of the database `postgres`.
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1", "postgres")
    }

    /// Stops the server; its clients' connections break.
    pub fn stop(&mut self) {
        match &mut self.backend {
            Backend::Installed { server, .. } => drop(server.take()),
            Backend::Container { id } => docker(&["stop", "--time", "10", id]),
        }
    }

    /// Ends the server and all its processes at once, as a crash does.
    pub fn kill(&mut self) {
        match &mut self.backend {
            Backend::Installed { cluster, server } => {
                cluster.signal("KILL");
                drop(server.take());
            }
            Backend::Container { id } => docker(&["kill", id]),
        }
    }

    /// Stops all its processes where they stand: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        match &self.backend {
            Backend::Installed { cluster, .. } => cluster.signal("STOP"),
            Backend::Container { id } => docker(&["pause", id]),
        }
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        match &self.backend {
            Backend::Installed { cluster, .. } => cluster.signal("CONT"),
            Backend::Container { id } => docker(&["unpause", id]),
        }
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server again, with its data and on its port.
    pub async fn start_again(&mut self) {
        match &mut self.backend {
            Backend::Installed { cluster, server } => *server = Some(cluster.serve()),
            Backend::Container { id } => docker(&["start", id]),
        }
        self.answers().await;
    }

    /// Waits until the server answers.
    async fn answers(&self) {
        let start = Instant::now();
        while let Err(error) = tokio_postgres::connect(&self.url(), NoTls).await {
            assert!(start.elapsed() < PATIENCE, "PostgreSQL does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        match &mut self.backend {
            Backend::Installed { cluster, server } => {
                // A frozen server would not hear that it is to end.
                cluster.signal("CONT");
                drop(server.take());
                let _ = fs::remove_dir_all(&cluster.directory);
            }
            Backend::Container { id } => {
                let _ = Command::new("docker").args(["rm", "-fv", id]).output();
            }
        }
    }
}

/// A data directory and the programs that serve it.
#[derive(Debug)]
struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    tls: bool,
}

impl Cluster {
    fn create(programs: PathBuf, certificate: Option<&Certificate>) -> Self {
        // Under the system's directory: the user that serves it can't always enter ours.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        remove_left_behind();
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let cluster =
            Self { programs, directory, port: 0, user: unprivileged(), tls: certificate.is_some() };
        cluster.own(&cluster.directory, 0o700);
        if let Some(Certificate { certificate, key }) = certificate {
            for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
                let path = cluster.directory.join(name);
                fs::write(&path, pem).unwrap();
                cluster.own(&path, 0o600);
            }
        }
        let mut initdb = Command::new(cluster.programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--username=postgres", "-D"]);
        initdb.arg(cluster.data()).current_dir(&cluster.directory);
        let output = cluster.as_user(&mut initdb).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        cluster
    }

    fn serve(&self) -> Guarded {
        // SIGINT is PostgreSQL's fast shutdown: connections are broken, data is kept.
        Guarded::start("INT", &self.programs.join("postgres"), |command| {
            command.current_dir(&self.directory).arg("-D").arg(self.data());
            command.arg("-k").arg(&self.directory).arg("-p").arg(self.port.to_string());
            command.args(["-h", "127.0.0.1"]).args(CARELESS);
            if self.tls {
                let file = |name: &str| self.directory.join(name).display().to_string();
                command.args(["-c", "ssl=on"]);
                command.args(["-c", &format!("ssl_cert_file={}", file("server.crt"))]);
                command.args(["-c", &format!("ssl_key_file={}", file("server.key"))]);
            }
            let log = fs::File::create(self.directory.join("log")).unwrap();
            command.stdout(Stdio::null()).stderr(log);
            self.as_user(command);
        })
    }

    /// Sends a signal to the server, if it runs, and then to the processes that it has forked.
    fn signal(&self, name: &str) {
        let Ok(lock) = fs::read_to_string(self.data().join("postmaster.pid")) else { return };
        let Some(server) = lock.lines().next() else { return };
        let kill = |process: &str| {
            // A process that has just ended is what the signal was for, or needs none.
            let _ = Command::new("kill").args(["-s", name, process]).stderr(Stdio::null()).status();
        };
        // Found beforehand: whoever has lost its parent is nobody's child.
        let children = Command::new("pgrep").args(["-P", server]).output();
        let children = children.expect("pgrep, of procps").stdout;
        kill(server);
        String::from_utf8_lossy(&children).lines().for_each(kill);
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn own(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn as_user<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self.user {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }
}

/// Removes the data of tests that were killed; their servers have ended with them.
fn remove_left_behind() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(process) = process else { continue };
        let alive = Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status();
        if !alive.is_ok_and(|status| status.success()) {
            // Another test may be just as eager.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Where `initdb` and `postgres` lie: on the path, or the newest of Debian's directories.
fn installed_programs() -> Option<PathBuf> {
    let complete = |path: &PathBuf| path.join("initdb").exists() && path.join("postgres").exists();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(directory) = std::env::split_paths(&path).find(complete) {
        return Some(directory);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    versions.filter(|(_, path)| complete(path)).max().map(|(_, path)| path)
}

/// PostgreSQL refuses to run as root: then it runs as the first of these users.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").or_else(|_| fs::metadata(std::env::temp_dir()));
    if root.unwrap().uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let account = |name: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            let mut numbers = fields.skip(1).filter_map(|field| field.parse().ok());
            Some((numbers.next()?, numbers.next()?))
        })
    };
    account("postgres").or_else(|| account("nobody"))
}

fn create_container(port: u16, certificate: Option<&Certificate>) -> String {
    // The key must belong to the server's user, which a mounted file would not.
    let script = r#"if [ -n "$TLS_KEY" ]; then
        umask 077; cd /tmp; printf %s "$TLS_CERTIFICATE" > tls.crt; printf %s "$TLS_KEY" > tls.key
        chown postgres tls.crt tls.key
        set -- "$@" -c ssl=on -c ssl_cert_file=/tmp/tls.crt -c ssl_key_file=/tmp/tls.key
        fi; unset TLS_KEY; exec docker-entrypoint.sh postgres "$@""#;
    let mut command = Command::new("docker");
    command.args(["run", "--detach", "--env", "POSTGRES_HOST_AUTH_METHOD=trust"]);
    command.args(["--publish", &format!("127.0.0.1:{port}:5432")]);
    if let Some(Certificate { certificate, key }) = certificate {
        command.env("TLS_CERTIFICATE", certificate).env("TLS_KEY", key);
        command.args(["--env", "TLS_CERTIFICATE", "--env", "TLS_KEY"]);
    }
    command.args(["--entrypoint", "sh", "postgres:17", "-c", script, "sh"]).args(CARELESS);
    let output = command.output().expect(
        "neither an installed PostgreSQL server (apt-get install postgresql) nor Docker was found",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn docker(arguments: &[&str]) {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
