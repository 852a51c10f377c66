//! Whether the tasks of a rollout find room on the hosts. Pure: from what the hosts say is left.
//!
//! ECS places a task by what it reserves (CPU units, memory, fixed ports), not by what it uses. Which
//! host an old task would free is not known here, so it is taken to be the one where that helps
//! most: what is said to be lacking is lacking in the best case, too.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};

use serde_json::Value;

use crate::cloud::{Cluster, Host};
use crate::config::ServiceName;
use crate::observe::Running;

/// What ECS does where a service does not say otherwise, in percent.
pub(crate) const MINIMUM: u64 = 100;
const MAXIMUM: u64 = 200;
/// CPU units of a processor.
const UNITS: f64 = 1024.0;
/// Where a service says which capacity providers place its tasks.
const PROVIDERS: &str = "capacityProviderStrategy";

/// What one task reserves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// CPU units; 1024 are a processor.
    pub(crate) cpu: u64,
    /// MiB.
    pub(crate) memory: u64,
    /// Ports of the host that no other task may have.
    pub(crate) ports: BTreeSet<u16>,
}

impl Need {
    /// From a task definition in AWS's shape. What is said for the whole task goes before what is
    /// said for its containers, and `memoryReservation` before `memory`.
    #[must_use]
    pub(crate) fn of(document: &Value) -> Self {
        let containers = || list(document, "containerDefinitions");
        let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
        let sum = |one: &dyn Fn(&Value) -> Option<u64>| containers().filter_map(one).sum();
        let task = |name: &str, unit: &str, factor: f64| {
            let value = document.get(name)?;
            value.as_u64().or_else(|| quantity(value.as_str()?, unit, factor))
        };
        let fixed = |mapping: &Value| {
            let port = number(mapping, "hostPort").and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port != 0)
        };
        Self {
            cpu: task("cpu", "vcpu", UNITS).unwrap_or_else(|| sum(&|one| number(one, "cpu"))),
            memory: task("memory", "gb", 1024.0).unwrap_or_else(|| {
                sum(&|one| number(one, "memoryReservation").or_else(|| number(one, "memory")))
            }),
            ports: containers()
                .flat_map(|one| list(one, "portMappings"))
                .filter_map(fixed)
                .collect(),
        }
    }
}

/// `512`, `1 GB`, `.5 vCPU`: as ECS takes the size of a task.
fn quantity(text: &str, unit: &str, factor: f64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let whole = match text.strip_suffix(unit) {
        None => return text.parse().ok(),
        Some(number) => number.trim().parse::<f64>().ok()? * factor,
    };
    // Sizes that ECS takes are small whole numbers of MiB and units.
    format!("{whole:.0}").parse().ok()
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

impl Display for Need {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} MiB", self.memory)?;
        if self.cpu > 0 {
            write!(f, " and {} CPU units", self.cpu)?;
        }
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        if ports.is_empty() { Ok(()) } else { write!(f, " and port {}", ports.join(", ")) }
    }
}

/// The rollout of one service, as far as room is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// Which service.
    pub(crate) who: ServiceName,
    /// In which round; those of one round move side by side.
    pub(crate) level: u8,
    /// What a new task reserves.
    pub(crate) new: Need,
    /// What an old one gives back.
    pub(crate) old: Need,
    /// How many tasks there should be.
    pub(crate) desired: u32,
    /// How many there are.
    pub(crate) running: u32,
    /// So many have to run throughout.
    pub(crate) least: u32,
    /// No more may run at any time.
    pub(crate) most: u32,
    /// Whether a capacity provider may start a host for a task that finds none.
    pub(crate) scales: bool,
}

impl Move {
    /// From a service as it is wanted (CreateService) and as it is, its new task definition, and
    /// its cluster.
    #[must_use]
    pub(crate) fn new(
        (who, level): (ServiceName, u8),
        wanted: &Value,
        running: &Running,
        new: &Value,
        cluster: Option<&Cluster>,
    ) -> Self {
        let service = running.service.as_ref();
        let percent = |name: &str| {
            let of =
                |document: &Value| document.get("deploymentConfiguration")?.get(name)?.as_u64();
            of(wanted).or_else(|| of(&service?.document))
        };
        let minimum = percent("minimumHealthyPercent").unwrap_or(MINIMUM);
        let maximum = percent("maximumPercent").unwrap_or(MAXIMUM);
        let count = || wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(1);
        let desired = service.map_or_else(count, |service| u64::from(service.desired));
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            who,
            level,
            new: Need::of(new),
            old: running
                .task_definition
                .as_ref()
                .map(|old| Need::of(&old.document))
                .unwrap_or_default(),
            desired: number(desired),
            running: service.map_or(0, |service| service.running),
            least: least(number(desired), minimum),
            // ECS rounds this one down.
            most: number(desired.saturating_mul(maximum) / 100),
            scales: match service {
                // ECS tells it, whether it was asked for or is the cluster's default.
                Some(service) => list(&service.document, PROVIDERS).next().is_some(),
                None if list(wanted, PROVIDERS).next().is_some() => true,
                None => wanted.get("launchType").is_none() && cluster.is_some_and(|one| one.scales),
            },
        }
    }

    /// Whether ECS may stop an old task before a new one runs.
    fn stops_first(&self) -> bool {
        self.running > self.least
    }

    fn is_stuck(&self) -> bool {
        self.running > 0 && !self.stops_first() && self.most <= self.running
    }
}

/// How many of so many tasks have to run throughout a rollout: ECS rounds up.
#[must_use]
pub(crate) fn least(desired: u32, minimum_healthy_percent: u64) -> u32 {
    let least = u64::from(desired).saturating_mul(minimum_healthy_percent).div_ceil(100);
    u32::try_from(least).unwrap_or(u32::MAX)
}

/// What stands in the way of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// There are hosts, and none takes tasks.
    NoHost {
        /// How many there are.
        all: usize,
    },
    /// The service's percentages let no task be replaced.
    Stuck {
        /// Which service.
        who: ServiceName,
        /// Its desired count.
        desired: u32,
    },
    /// No host has room for a task.
    Room {
        /// Whose task.
        who: ServiceName,
        /// Whether it is the one that migrates the database.
        migration: bool,
        /// Whether an old one runs on until it is there.
        beside: bool,
        /// What it reserves.
        need: Need,
        /// The most memory that one host has left, in MiB.
        memory: u64,
        /// The most CPU units that one host has left.
        cpu: u64,
        /// Whether it waits for another host.
        scales: bool,
    },
}

impl Lack {
    /// Whether it may come to be there without anybody doing anything.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Room { scales: true, .. })
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "their agents have to be connected, and not draining",
            Self::Stuck { .. } => "lower the first, or raise the second (it is rounded down)",
            Self::Room { scales: true, .. } => {
                "it has to wait for the capacity provider's next host (MaxHosts)"
            }
            Self::Room { beside: true, .. } => {
                "add a host (MinHosts), or let ECS stop an old one first (minimumHealthyPercent)"
            }
            Self::Room { .. } => "add a host (MinHosts), or take larger ones (InstanceType)",
        }
    }
}

impl Display for Lack {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHost { all } => write!(f, "none of the cluster's {all} hosts takes tasks")?,
            Self::Stuck { who, desired } => write!(
                f,
                "{who}: with a desired count of {desired} its minimumHealthyPercent lets no old \
                 task be stopped, and its maximumPercent no new one be started"
            )?,
            Self::Room { who, migration, beside, need, memory, cpu, .. } => {
                let task = match (migration, beside) {
                    (true, _) => "the task that migrates",
                    (false, true) => "a new task beside the old ones",
                    (false, false) => "a new task",
                };
                write!(f, "{who}: {task} needs {need}, and no host has ")?;
                match (need.memory > *memory, need.cpu > *cpu) {
                    (true, true) => {
                        write!(f, "more than {memory} MiB, or more than {cpu} CPU units, left")?;
                    }
                    (true, false) => write!(f, "more than {memory} MiB left")?,
                    (false, true) => write!(f, "more than {cpu} CPU units left")?,
                    (false, false) => write!(f, "all of it left")?,
                }
            }
        }
        write!(f, ": {}", self.advice())
    }
}

/// What a host has left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Free {
    cpu: u64,
    memory: u64,
    taken: BTreeSet<u16>,
}

impl Free {
    fn fits(&self, need: &Need) -> bool {
        self.cpu >= need.cpu && self.memory >= need.memory && self.taken.is_disjoint(&need.ports)
    }
}

/// What the hosts that take tasks have left, together.
#[derive(Debug, Clone)]
struct Hosts(Vec<Free>);

impl Hosts {
    fn of(hosts: &[Host]) -> Self {
        let free = ready(hosts).map(|host| Free {
            cpu: host.cpu.into(),
            memory: host.memory.into(),
            taken: host.ports.iter().copied().collect(),
        });
        Self(free.collect())
    }

    /// Reserves room for a task where it fits most closely. Whether there is any.
    fn take(&mut self, need: &Need) -> bool {
        let fitting = self.0.iter_mut().filter(|free| free.fits(need));
        let Some(host) = fitting.min_by_key(|free| (free.memory, free.cpu)) else { return false };
        host.cpu -= need.cpu;
        host.memory -= need.memory;
        host.taken.extend(&need.ports);
        true
    }

    /// Has a task give back what it reserved, on the host where that makes most room.
    fn give(&mut self, need: &Need) {
        let has = |free: &Free| need.ports.is_subset(&free.taken);
        let best = self.0.iter_mut().max_by_key(|free| (has(free), free.memory, free.cpu));
        if let Some(host) = best {
            host.cpu += need.cpu;
            host.memory += need.memory;
            host.taken.retain(|port| !need.ports.contains(port));
        }
    }

    fn lack(&self, one: &Move, (migration, beside): (bool, bool)) -> Lack {
        Lack::Room {
            who: one.who,
            migration,
            beside,
            need: one.new.clone(),
            scales: one.scales,
            memory: self.0.iter().map(|free| free.memory).max().unwrap_or(0),
            cpu: self.0.iter().map(|free| free.cpu).max().unwrap_or(0),
        }
    }
}

/// The hosts that take tasks: active, and connected.
pub(crate) fn ready(hosts: &[Host]) -> impl Iterator<Item = &Host> {
    hosts.iter().filter(|host| host.connected && host.status == "ACTIVE")
}

/// What the rollouts lack; and before them the task that migrates, which reserves what a new task of
/// its service does. Without hosts that tell, nothing is known about room.
#[must_use]
pub(crate) fn lacks(hosts: &[Host], migration: Option<&Move>, moves: &[Move]) -> Vec<Lack> {
    let stuck = moves.iter().filter(|one| one.is_stuck());
    let mut lacks: Vec<Lack> =
        stuck.map(|one| Lack::Stuck { who: one.who, desired: one.desired }).collect();
    let mut free = Hosts::of(hosts);
    let starts = migration.is_some() || moves.iter().any(|one| one.desired > 0);
    if hosts.is_empty() || !starts {
        return lacks;
    }
    if free.0.is_empty() {
        lacks.push(Lack::NoHost { all: hosts.len() });
        return lacks;
    }
    if let Some(migration) = migration
        && !free.clone().take(&migration.new)
    {
        lacks.push(free.lack(migration, (true, false)));
    }
    let mut levels: Vec<u8> = moves.iter().map(|one| one.level).collect();
    levels.sort_unstable();
    levels.dedup();
    for level in levels {
        let mut round: Vec<&Move> = moves.iter().filter(|one| one.level == level).collect();
        // The largest first: the small ones fit in between.
        round.sort_by_key(|one| Reverse(one.new.memory));
        lacks.extend(roll(&mut free, &round));
    }
    lacks
}

/// Replaces the tasks of services side by side, one after the other inside each.
fn roll(free: &mut Hosts, moves: &[&Move]) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut left: Vec<(&Move, u32, u32)> =
        moves.iter().map(|one| (*one, one.desired, one.running)).collect();
    while left.iter().any(|(_, new, _)| *new > 0) {
        for (one, _, old) in &mut left {
            if one.stops_first() && *old > 0 {
                free.give(&one.old);
                *old -= 1;
            }
        }
        for (one, new, old) in &mut left {
            if *new == 0 {
                continue;
            }
            *new -= 1;
            if !free.take(&one.new) {
                let beside = *old > 0 && !one.stops_first();
                lacks.push(free.lack(one, (false, beside)));
                // It stays as it is.
                (*new, *old) = (0, 0);
            }
        }
        for (one, new, old) in &mut left {
            // Those that are missing have to come beside the old ones.
            if *old > *new || *new == 0 {
                let ended = if *new == 0 { *old } else { 1 };
                (0..ended).for_each(|_| free.give(&one.old));
                *old -= ended;
            }
        }
    }
    lacks
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
