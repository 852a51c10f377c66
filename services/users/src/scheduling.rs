//! How the operating system shares the processors among the threads.

/// Has this thread, and all that it starts from now on, wait for their turn where the processors are
/// busy; on an idle one nothing changes.
///
/// A thread that is woken otherwise displaces the one that woke it. Where the load balancer, the
/// service and PostgreSQL share the processors, each request would come alone and take several
/// switches; a thread that waits for its turn finds many that have come meanwhile. That is worth a
/// third more requests at full load, and sign-ins keep nobody waiting longer than they did. Linux
/// calls it `SCHED_BATCH`: [sched(7)](https://man7.org/linux/man-pages/man7/sched.7.html).
///
/// Whoever has started the service with another policy wanted that one. Where the system does not
/// know or allow it, all is slower and works.
#[cfg(target_os = "linux")]
pub fn take_turns() {
    use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, get_scheduler, set_scheduler};

    let this = Pid::current_thread();
    let set = get_scheduler(this).and_then(|policy| match policy {
        Scheduler::SCHED_NORMAL => {
            set_scheduler(this, Scheduler::SCHED_BATCH, SchedulerParams { priority: 0 })
        }
        _ => Ok(()),
    });
    if let Err(error) = set {
        tracing::debug!(%error, "threads are scheduled as those of any program");
    }
}

/// Other systems have no such policy.
#[cfg(not(target_os = "linux"))]
pub fn take_turns() {}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::thread;

    use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, get_scheduler, set_scheduler};

    use super::*;

    fn policy() -> Scheduler {
        get_scheduler(Pid::current_thread()).unwrap()
    }

    #[test]
    fn a_thread_and_those_that_it_starts() {
        let (its, of_another) = thread::spawn(|| {
            take_turns();
            (policy(), thread::spawn(policy).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((its, of_another), (Scheduler::SCHED_BATCH, Scheduler::SCHED_BATCH));
    }

    #[test]
    fn what_somebody_has_chosen_stays() {
        let after = thread::spawn(|| {
            let idle = SchedulerParams { priority: 0 };
            set_scheduler(Pid::current_thread(), Scheduler::SCHED_IDLE, idle).unwrap();
            take_turns();
            policy()
        });
        assert_eq!(after.join().unwrap(), Scheduler::SCHED_IDLE);
    }
}
