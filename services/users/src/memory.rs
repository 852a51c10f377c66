//! The memory that this process may use.
//!
//! The kernel kills a container that goes beyond its limit, and what is killed cannot say why. So
//! the limit decides how many passwords are hashed at once and how many connections are taken, one
//! that is too small is refused at the start, and the log tells when it comes near.

use std::{fs, num::NonZeroUsize, time::Duration};

use crate::auth::password;

/// Where a container finds the limit of its control group, of version 2 and of version 1:
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html>, "memory.max".
const LIMIT_FILES: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Version 1 says "no limit" by a number greater than any memory.
const NO_LIMIT: u64 = 1 << 60;

/// Less than this in bytes is refused: 64 MiB, of which one hash takes 19.
const LEAST: u64 = 64 << 20;

/// What a connection takes in bytes at most that sends one request after the other: with a head of
/// 128 KiB, the most that the framework reads, in a buffer that has just been doubled. It may take
/// more where requests are sent ahead of their answers, since the framework parses them as they come,
/// or where a large answer waits for its reader. A load balancer sends nothing ahead.
const CONNECTION: u64 = 256 * 1024;

/// More connections are not taken, whatever the memory.
const MOST_CONNECTIONS: usize = 20_000;

/// How often to look whether the limit is near.
const INTERVAL: Duration = Duration::from_millis(500);

/// The limit leaves no room for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a memory limit of {} MB is too small. Give the container at least {} MB, better 300",
    .0 / 1_000_000,
    LEAST.div_ceil(1_000_000)
)]
pub struct TooLittle(u64);

/// The limit in bytes; none outside of a container with one.
pub fn limit() -> Option<u64> {
    LIMIT_FILES.iter().find_map(|file| parse_limit(&fs::read_to_string(file).ok()?))
}

fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

/// How many passwords to hash at once: one a core, as long as that takes no more than half of the
/// memory.
///
/// # Errors
/// The limit is too small for the service.
pub fn hashing_threads(cores: NonZeroUsize, limit: Option<u64>) -> Result<NonZeroUsize, TooLittle> {
    let Some(limit) = limit else { return Ok(cores) };
    if limit < LEAST {
        return Err(TooLittle(limit));
    }
    let room = limit / 2 / (u64::from(password::MEMORY) * 1024);
    let room = usize::try_from(room).ok().and_then(NonZeroUsize::new);
    Ok(room.unwrap_or(NonZeroUsize::MIN).min(cores))
}

/// How many connections to take at once: as many as may have a third of the memory.
pub fn connections(memory: Option<u64>) -> usize {
    let most = memory.map_or(u64::MAX, |memory| memory / 3 / CONNECTION);
    usize::try_from(most).unwrap_or(usize::MAX).min(MOST_CONNECTIONS)
}

/// The memory of the machine in bytes, which is the limit where the container has none.
pub fn machine() -> Option<u64> {
    kib_in(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// Tells in the log when nine tenths of the limit are in use: should the kernel kill the process
/// after that, its last lines say why.
pub async fn watch(limit: u64) {
    let mut near = Nearness::default();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let Some(used) = resident() else { return };
        if near.begins(used, limit) {
            tracing::warn!(
                used_mb = used / 1_000_000,
                limit_mb = limit / 1_000_000,
                "memory is nearly used up; at the limit the kernel kills this process"
            );
        }
    }
}

/// Whether the limit is near; tells that once, until there is room again.
#[derive(Debug, Default)]
struct Nearness(bool);

impl Nearness {
    fn begins(&mut self, used: u64, limit: u64) -> bool {
        let was = self.0;
        self.0 = used >= limit / 10 * if was { 8 } else { 9 };
        self.0 && !was
    }
}

/// What the process holds in memory, in bytes.
fn resident() -> Option<u64> {
    kib_in(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// What a file of the kernel says in kibibytes, in bytes.
fn kib_in(file: &str, name: &str) -> Option<u64> {
    let line = file.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    fn threads(cores: usize, limit: Option<u64>) -> Result<usize, TooLittle> {
        hashing_threads(NonZeroUsize::new(cores).unwrap(), limit).map(NonZeroUsize::get)
    }

    #[test]
    fn limits_of_both_versions_of_control_groups() {
        assert_eq!(parse_limit("314572800\n"), Some(314_572_800));
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit(""), None);
    }

    #[test]
    fn hashes_take_a_core_each_and_at_most_half_of_the_memory() {
        assert_eq!(threads(64, None), Ok(64));
        assert_eq!(threads(2, Some(300 * MEBIBYTE)), Ok(2));
        assert_eq!(threads(64, Some(300 * MEBIBYTE)), Ok(7));
        assert_eq!(threads(2, Some(LEAST)), Ok(1));
    }

    #[test]
    fn too_little_memory_is_refused_with_a_way_out() {
        let refused = threads(2, Some(LEAST - 1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a memory limit of 67 MB is too small. Give the container at least 68 MB, better 300"
        );
    }

    #[test]
    fn a_limit_that_comes_near_is_told_once() {
        let mut near = Nearness::default();
        let told = [89, 90, 95, 85, 91, 79, 90].map(|used| near.begins(used, 100));
        assert_eq!(told, [false, true, false, false, false, false, true]);
    }

    #[test]
    fn connections_take_at_most_a_third_of_the_memory() {
        assert_eq!(connections(Some(300 * MEBIBYTE)), 400);
        assert_eq!(connections(Some(LEAST)), 85);
        assert_eq!(connections(None), MOST_CONNECTIONS);
    }

    #[test]
    fn this_process_has_some_megabytes_and_the_machine_more() {
        assert!(resident().unwrap() > MEBIBYTE);
        assert!(machine().unwrap() > resident().unwrap());
    }
}
