//! Who finds room, and who does not.

use super::*;
use serde_json::json;

fn host(memory: u32, cpu: u32) -> Host {
    Host {
        arn: String::new(),
        instance: String::new(),
        status: "ACTIVE".to_owned(),
        connected: true,
        cpu,
        memory,
        ports: Vec::new(),
    }
}

fn need(memory: u64, cpu: u64) -> Need {
    Need { cpu, memory, ports: BTreeSet::new() }
}

/// A service of so many tasks that keeps its size, with ECS's own percentages.
fn rolls(who: ServiceName, level: u8, tasks: u32, need: &Need) -> Move {
    Move {
        who,
        level,
        new: need.clone(),
        old: need.clone(),
        desired: tasks,
        running: tasks,
        least: tasks,
        most: tasks * 2,
        scales: false,
    }
}

fn users(tasks: u32, need: &Need) -> Move {
    rolls(ServiceName::Users, 0, tasks, need)
}

/// Whose tasks find no room.
fn without(hosts: &[Host], moves: &[Move]) -> Vec<ServiceName> {
    let lacks = lacks(hosts, None, moves);
    let whose = lacks.iter().filter_map(|lack| match lack {
        Lack::Room { who, .. } | Lack::Stuck { who, .. } => Some(*who),
        Lack::NoHost { .. } => None,
    });
    whose.collect()
}

#[test]
fn what_a_task_reserves_is_what_ecs_counts() {
    let of = |document: Value| Need::of(&document);
    let containers = json!({ "containerDefinitions": [
        { "memoryReservation": 300, "memory": 500, "cpu": 64, "portMappings": [{ "hostPort": 0 }] },
        { "memory": 100, "portMappings": [{ "hostPort": 80 }] },
    ] });
    let expected = Need { cpu: 64, memory: 400, ports: BTreeSet::from([80]) };
    assert_eq!(of(containers.clone()), expected);
    for (cpu, memory) in [("256", "512"), (".25 vCPU", "0.5 GB"), ("0.25vcpu", "0.5gb")] {
        let mut task = containers.clone();
        (task["cpu"], task["memory"]) = (json!(cpu), json!(memory));
        assert_eq!(of(task), Need { cpu: 256, memory: 512, ..expected.clone() }, "{cpu} {memory}");
    }
}

#[test]
fn one_new_task_has_to_fit_beside_the_old_ones() {
    let size = need(300, 128);
    assert_eq!(without(&[host(300, 128)], &[users(4, &size)]), []);
    assert_eq!(without(&[host(299, 128)], &[users(4, &size)]), [ServiceName::Users]);
    assert_eq!(without(&[host(300, 127)], &[users(4, &size)]), [ServiceName::Users]);
    // Half of it on each of two hosts is no room.
    assert_eq!(
        without(&[host(299, 500), host(500, 100)], &[users(1, &size)]),
        [ServiceName::Users]
    );
}

#[test]
fn hosts_that_drain_or_are_not_connected_have_no_room() {
    let draining = Host { status: "DRAINING".to_owned(), ..host(4000, 4000) };
    let lost = Host { connected: false, ..host(4000, 4000) };
    let moves = [users(1, &need(300, 0))];
    let lacking = lacks(&[draining.clone(), host(100, 100)], None, &moves);
    assert!(matches!(&lacking[..], [Lack::Room { memory: 100, .. }]), "{lacking:?}");
    let none = lacks(&[draining.clone(), lost.clone()], None, &moves);
    assert_eq!(none, [Lack::NoHost { all: 2 }]);
    assert_eq!(lacks(&[draining, lost, host(300, 0)], None, &moves), []);
    // Fargate's, or an emulator's: there is nothing to count.
    assert_eq!(lacks(&[], None, &moves), []);
}

#[test]
fn where_ecs_may_stop_an_old_task_first_its_room_counts() {
    let size = need(300, 0);
    let halved = Move { least: 1, most: 2, ..users(2, &size) };
    assert_eq!(without(&[host(0, 0)], std::slice::from_ref(&halved)), []);
    let grown = Move { new: need(400, 0), ..halved };
    assert_eq!(without(&[host(0, 0)], std::slice::from_ref(&grown)), [ServiceName::Users]);
    assert_eq!(without(&[host(100, 0)], &[Move { desired: 1, running: 1, least: 0, ..grown }]), []);
}

#[test]
fn percentages_that_let_nothing_happen_are_named() {
    let of = |minimum: u64, maximum: u64, tasks: u32| {
        let wanted = json!({ "desiredCount": tasks, "deploymentConfiguration": {
            "minimumHealthyPercent": minimum, "maximumPercent": maximum } });
        let place = (ServiceName::Users, 0);
        let new = Move::new(place, &wanted, &Running::default(), &json!({}), None);
        let stuck = Move { running: tasks, ..new };
        lacks(&[], None, &[stuck]) == [Lack::Stuck { who: ServiceName::Users, desired: tasks }]
    };
    // The one is rounded up, the other down.
    assert!(of(100, 100, 1) && of(100, 199, 1) && of(51, 150, 1));
    assert!(!of(100, 200, 1) && !of(0, 100, 1) && !of(50, 100, 2));
}

#[test]
fn those_that_move_side_by_side_need_room_side_by_side() {
    let size = need(300, 0);
    let client = |level| rolls(ServiceName::Client, level, 1, &size);
    let one = [host(300, 0)];
    assert_eq!(without(&one, &[users(1, &size), client(1)]), []);
    assert_eq!(without(&one, &[users(1, &size), client(0)]), [ServiceName::Client]);
    assert_eq!(without(&[host(300, 0), host(300, 0)], &[users(1, &size), client(0)]), []);
}

#[test]
fn tasks_that_have_grown_do_not_fit_for_long() {
    let grown = |tasks| Move { new: need(400, 0), ..users(tasks, &need(300, 0)) };
    // 450, 50; an old one ends: 350.
    assert_eq!(without(&[host(450, 0)], &[grown(1)]), []);
    assert_eq!(without(&[host(450, 0)], &[grown(2)]), [ServiceName::Users]);
    let beside = [grown(1), rolls(ServiceName::Client, 1, 1, &need(400, 0))];
    assert_eq!(without(&[host(450, 0)], &beside), [ServiceName::Client]);
    assert_eq!(without(&[host(500, 0)], &beside), []);
}

#[test]
fn a_new_service_needs_room_for_all_its_tasks() {
    let new = Move { running: 0, ..users(3, &need(300, 0)) };
    assert_eq!(without(&[host(600, 0), host(300, 0)], std::slice::from_ref(&new)), []);
    assert_eq!(without(&[host(600, 0), host(299, 0)], &[new]), [ServiceName::Users]);
    let none = Move { desired: 0, least: 0, most: 0, ..users(0, &need(300, 0)) };
    assert_eq!(without(&[host(0, 0)], &[none]), []);
}

#[test]
fn a_fixed_port_is_room_too() {
    let fixed = Need { ports: BTreeSet::from([80]), ..need(300, 0) };
    let taken = Host { ports: vec![22, 80], ..host(4000, 4000) };
    let one = [users(1, &fixed)];
    assert_eq!(without(std::slice::from_ref(&taken), &one), [ServiceName::Users]);
    assert_eq!(without(&[taken.clone(), host(300, 0)], &one), []);
    let stops_first = Move { least: 0, ..users(1, &fixed) };
    assert_eq!(without(&[taken], &[stops_first]), []);
}

#[test]
fn a_person_reads_what_lacks_and_what_to_do() {
    let hosts = [host(212, 1024), host(100, 2048)];
    let users = users(1, &need(300, 0));
    let scaled = Move { scales: true, ..rolls(ServiceName::Client, 1, 1, &need(300, 4096)) };
    let lacks = lacks(&hosts, Some(&users), &[users.clone(), scaled]);
    let said: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    users: the task that migrates needs 300 MiB, and no host has more than 212 MiB left: add a host (MinHosts), or take larger ones (InstanceType)
    users: a new task beside the old ones needs 300 MiB, and no host has more than 212 MiB left: add a host (MinHosts), or let ECS stop an old one first (minimumHealthyPercent)
    client: a new task beside the old ones needs 300 MiB and 4096 CPU units, and no host has more than 212 MiB, or more than 2048 CPU units, left: it has to wait for the capacity provider's next host (MaxHosts)
    ");
    assert_eq!(lacks.iter().filter(|lack| lack.may_pass()).count(), 1);
}
