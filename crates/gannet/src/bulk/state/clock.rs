//! How long a host that asked to be left alone still has to be, told by two clocks: the time since the machine was
//! started, which nobody sets, while it runs on; the time of day after a restart, where what was asked for bounds it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The machine's clocks.
#[derive(Debug)]
pub(super) struct Clock {
    /// Names this start of the machine; empty where that is not known.
    boot: String,
}

impl Default for Clock {
    fn default() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Clock { boot: boot.trim().to_owned() }
    }
}

impl Clock {
    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// What was asked for, and when it ends by the time of day and by the time since the start, in milliseconds.
    pub(super) fn until(&self, delay: Duration, since: SystemTime) -> (u64, u64, u64) {
        let passed = SystemTime::now().duration_since(since).unwrap_or_default().min(delay);
        let asked = millis(delay);
        (asked, unix(since).saturating_add(asked), uptime().saturating_add(millis(delay - passed) + STEP))
    }

    /// How much of it is left.
    pub(super) fn left(&self, asked: u64, until: u64, (boot, until_boot): (&str, u64)) -> Duration {
        left(
            asked,
            until,
            unix(SystemTime::now()),
            (boot == self.boot && !boot.is_empty()).then_some(until_boot),
            uptime(),
        )
    }
}

/// The time since the start is told in steps of this many milliseconds: what ends within one ends behind it.
const STEP: u64 = 10;

fn left(asked: u64, until: u64, now: u64, until_boot: Option<u64>, uptime: u64) -> Duration {
    let left = match until_boot {
        Some(until_boot) => until_boot.saturating_sub(uptime),
        // The clock may have been set back meanwhile: never longer than was asked for.
        None => until.saturating_sub(now),
    };
    Duration::from_millis(left.min(asked))
}

fn unix(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    // Within what SQLite's integers hold.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64 / 4)
}

/// Milliseconds since the machine was started, time asleep included; 0 where that is not told.
fn uptime() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    (seconds * 1e3) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_or_forth_changes_nothing_while_the_machine_runs() {
        let wanted = Duration::from_millis(20_000);
        for now in [0, 100_000, 1_000_000_000] {
            assert_eq!(left(30_000, 130_000, now, Some(50_000), 30_000), wanted);
        }
        assert_eq!(left(30_000, 130_000, 0, Some(50_000), 50_001), Duration::ZERO);
    }

    #[test]
    fn after_a_restart_the_time_of_day_tells_and_what_was_asked_for_bounds_it() {
        assert_eq!(left(30_000, 130_000, 120_000, None, 0), Duration::from_millis(10_000));
        assert_eq!(left(30_000, 130_000, 140_000, None, 0), Duration::ZERO);
        assert_eq!(left(30_000, 130_000, 5, None, 0), Duration::from_millis(30_000));
    }

    #[test]
    fn what_was_asked_for_a_while_ago_has_that_much_less_left() {
        let clock = Clock::default();
        let since = SystemTime::now() - Duration::from_secs(10);
        let (asked, until, until_boot) = clock.until(Duration::from_secs(30), since);
        let left = clock.left(asked, until, (clock.boot(), until_boot)).as_secs_f64();
        assert!((19.0..=20.1).contains(&left), "{left}");
    }
}
