//! What processes take: time on the processors and memory, from Linux's `/proc`.

use std::fs;

use tokio_postgres::Client;

/// Linux counts time in hundredths of a second, on every architecture that we build for.
const TICK_SECONDS: f64 = 0.01;

/// The fields of `/proc/<id>/stat` after the name, which may hold anything.
fn stat(id: u32) -> Option<Vec<i64>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect())
}

/// Seconds of processor time that a process has taken so far, without its children.
pub(crate) fn cpu(id: u32) -> f64 {
    stat(id).map_or(0.0, |fields| (fields[10] + fields[11]) as f64 * TICK_SECONDS)
}

/// The most memory that a process has had resident, in MB.
pub(crate) fn peak_memory(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024.0 / 1e6
}

/// A PostgreSQL server's processes, wherever it runs as long as its processes can be seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server(u32);

impl Server {
    /// The server that `client` is connected to: its process serves the database `name`, and says
    /// so in its title.
    pub(crate) async fn of(client: &Client, name: &str) -> Option<Self> {
        client.simple_query("SELECT 1").await.unwrap();
        let backend = ids().find(|id| {
            let title = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title).into_owned();
            title.starts_with("postgres: ") && title.contains(name)
        })?;
        stat(backend).and_then(|fields| u32::try_from(fields[0]).ok()).map(Self)
    }

    /// Seconds of processor time of all its processes, those that have ended too.
    pub(crate) fn cpu(self) -> f64 {
        let Some(fields) = stat(self.0) else { return 0.0 };
        let own = (fields[10] + fields[11] + fields[12] + fields[13]) as f64 * TICK_SECONDS;
        let is_child = |id: &u32| stat(*id).is_some_and(|f| f[0] == i64::from(self.0));
        own + ids().filter(is_child).map(cpu).sum::<f64>()
    }
}

fn ids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("Linux");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
