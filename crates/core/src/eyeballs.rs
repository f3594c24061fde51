//! Which of a host's addresses is tried when: Happy Eyeballs (RFC 8305 §§3-5), for answers of a lookup that come all
//! together or one after the other. It knows nothing of sockets: whoever dials tells what came and what failed, asks
//! what to do next, and closes the losers once one attempt has won. Called by the session's dialling.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The waits of a race (RFC 8305 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the start of one attempt to that of the next; 250 ms, never under 10 ms, and at most a year.
    pub attempt_delay: Duration,
    /// How long IPv4 addresses wait for IPv6 ones while the lookup goes on; 50 ms, and none where only one of the two is
    /// used.
    pub resolution_delay: Duration,
    /// Addresses of the first family tried before the families take turns; 1, and never less.
    pub first_family_count: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            attempt_delay: Duration::from_millis(250),
            resolution_delay: Duration::from_millis(50),
            first_family_count: 1,
        }
    }
}

/// The race for one connection.
///
/// The family that goes first is that of the lookup's first address, whose order is the machine's policy (RFC 6724);
/// where the families are answered apart, IPv6. Within a family the lookup's order is kept, and no address is tried
/// twice.
#[derive(Debug)]
pub struct Eyeballs {
    pace: Pace,
    six: VecDeque<IpAddr>,
    four: VecDeque<IpAddr>,
    /// Every address that came, so that none is tried twice.
    known: Vec<IpAddr>,
    /// The family to go first: known once IPv6 addresses have come.
    first: Option<Family>,
    /// That of the attempt started last.
    last: Option<Family>,
    started: u32,
    running: u32,
    /// When the first addresses came.
    answered_at: Option<Instant>,
    /// When the next attempt may start while others run.
    next_at: Option<Instant>,
    resolved: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start an attempt at this address, and ask again.
    Start(IpAddr),
    /// Nothing until something happens, or until this moment.
    Wait(Option<Instant>),
    /// Every address there was has failed; none will come.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Four,
    Six,
}

impl Eyeballs {
    /// A race of which no address is known yet.
    pub fn new(pace: Pace) -> Self {
        let attempt_delay = pace.attempt_delay.clamp(LEAST_DELAY, LONGEST_DELAY);
        let pace = Pace { attempt_delay, resolution_delay: pace.resolution_delay.min(LONGEST_DELAY), ..pace };
        Eyeballs {
            pace,
            six: VecDeque::new(),
            four: VecDeque::new(),
            known: Vec::new(),
            first: None,
            last: None,
            started: 0,
            running: 0,
            answered_at: None,
            next_at: None,
            resolved: false,
        }
    }

    /// The lookup gave these addresses; more may follow.
    pub fn on_addresses(&mut self, addresses: &[IpAddr], now: Instant) {
        if let Some(first) = addresses.first() {
            self.answered_at.get_or_insert(now);
            if self.first.is_none() && addresses.iter().any(IpAddr::is_ipv6) {
                self.first = Some(Family::of(first));
            }
        }
        for address in addresses {
            if !self.known.contains(address) {
                self.known.push(*address);
                self.line(Family::of(address)).push_back(*address);
            }
        }
    }

    /// The lookup is over: no address comes any more.
    pub fn on_resolved(&mut self) {
        self.resolved = true;
    }

    /// An attempt failed: the next one need not wait for its turn (RFC 8305 §5).
    pub fn on_failed(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.next_at = None;
    }

    /// What to do now. After [`Next::Start`] it is to be asked again, until it says to wait.
    pub fn poll(&mut self, now: Instant) -> Next {
        if self.six.is_empty() && self.four.is_empty() {
            return if self.resolved && self.running == 0 { Next::Failed } else { Next::Wait(None) };
        }
        let not_before = match self.started {
            0 => self.waits_for_six(),
            _ => self.next_at.filter(|_| self.running > 0),
        };
        if let Some(at) = not_before.filter(|at| now < *at) {
            return Next::Wait(Some(at));
        }
        let Some(address) = self.take() else { return Next::Wait(None) };
        self.last = Some(Family::of(&address));
        self.started += 1;
        self.running += 1;
        self.next_at = Some(now + self.pace.attempt_delay);
        Next::Start(address)
    }

    /// RFC 8305 §3: with IPv4 addresses alone, wait a moment for an answer that may bring IPv6 ones.
    fn waits_for_six(&self) -> Option<Instant> {
        let may_come = self.six.is_empty() && !self.resolved;
        self.answered_at.filter(|_| may_come).map(|at| at + self.pace.resolution_delay)
    }

    /// RFC 8305 §4: the first family's share, then in turn; a family that has none left loses its turn.
    fn take(&mut self) -> Option<IpAddr> {
        let first = self.first.unwrap_or(Family::Four);
        let turn = match self.last {
            Some(last) if self.started >= self.pace.first_family_count => last.other(),
            _ => first,
        };
        self.line(turn).pop_front().or_else(|| self.line(turn.other()).pop_front())
    }

    fn line(&mut self, family: Family) -> &mut VecDeque<IpAddr> {
        match family {
            Family::Four => &mut self.four,
            Family::Six => &mut self.six,
        }
    }
}

impl Family {
    fn of(address: &IpAddr) -> Self {
        if address.is_ipv6() { Family::Six } else { Family::Four }
    }

    fn other(self) -> Self {
        match self {
            Family::Four => Family::Six,
            Family::Six => Family::Four,
        }
    }
}

/// RFC 8305 §8: the delay between attempts must not be less.
const LEAST_DELAY: Duration = Duration::from_millis(10);
/// As good as never, and a moment that a clock can still tell.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Starts everything it may start now.
    fn starts(race: &mut Eyeballs, now: Instant) -> Vec<IpAddr> {
        let mut all = Vec::new();
        while let Next::Start(address) = race.poll(now) {
            all.push(address);
        }
        all
    }

    /// The order in which all of these would be tried, each a delay after the one before.
    fn order(pace: Pace, addresses: &[&str]) -> Vec<IpAddr> {
        let (mut race, mut now, mut all) = (Eyeballs::new(pace), t0(), Vec::new());
        race.on_addresses(&ips(addresses), now);
        race.on_resolved();
        for _ in 0..addresses.len() {
            all.extend(starts(&mut race, now));
            now += pace.attempt_delay;
        }
        all
    }

    #[test]
    fn the_lookups_first_family_goes_first_then_the_families_take_turns() {
        let pace = Pace::default();
        assert_eq!(order(pace, &["::1", "::2", "::3", "10.0.0.1"]), ips(&["::1", "10.0.0.1", "::2", "::3"]));
        assert_eq!(order(pace, &["10.0.0.1", "::1", "10.0.0.2"]), ips(&["10.0.0.1", "::1", "10.0.0.2"]));
        assert_eq!(order(pace, &["10.0.0.1", "10.0.0.1", "10.0.0.2"]), ips(&["10.0.0.1", "10.0.0.2"]));
        let two = Pace { first_family_count: 2, ..pace };
        let mixed = ["::1", "10.0.0.1", "::2", "::3", "10.0.0.2"];
        assert_eq!(order(two, &mixed), ips(&["::1", "::2", "10.0.0.1", "::3", "10.0.0.2"]));
        assert_eq!(order(two, &["::1", "10.0.0.1", "10.0.0.2"]), ips(&["::1", "10.0.0.1", "10.0.0.2"]));
    }

    #[test]
    fn attempts_start_a_delay_apart_and_a_failure_starts_the_next_at_once() {
        let (mut race, t0) = (Eyeballs::new(Pace::default()), t0());
        race.on_addresses(&ips(&["::1", "10.0.0.1", "10.0.0.2"]), t0);
        race.on_resolved();
        assert_eq!(starts(&mut race, t0), ips(&["::1"]));
        assert_eq!(race.poll(t0 + ms(249)), Next::Wait(Some(t0 + ms(250))));
        assert_eq!(starts(&mut race, t0 + ms(250)), ips(&["10.0.0.1"]));
        race.on_failed();
        assert_eq!(starts(&mut race, t0 + ms(251)), ips(&["10.0.0.2"]));
        assert_eq!(race.poll(t0 + ms(600)), Next::Wait(None), "two run still");
        race.on_failed();
        assert_eq!(race.poll(t0 + ms(700)), Next::Wait(None), "one runs still");
        race.on_failed();
        assert_eq!(race.poll(t0 + ms(700)), Next::Failed);
    }

    #[test]
    fn six_starts_at_once_and_four_waits_for_it_a_moment() {
        let t0 = t0();
        let mut race = Eyeballs::new(Pace::default());
        assert_eq!(race.poll(t0), Next::Wait(None));
        race.on_addresses(&ips(&["::1"]), t0);
        assert_eq!(starts(&mut race, t0), ips(&["::1"]));

        // IPv6 comes within the delay: it goes first.
        let mut race = Eyeballs::new(Pace::default());
        race.on_addresses(&ips(&["10.0.0.1"]), t0);
        assert_eq!(race.poll(t0), Next::Wait(Some(t0 + ms(50))));
        race.on_addresses(&ips(&["::1"]), t0 + ms(20));
        assert_eq!(starts(&mut race, t0 + ms(20)), ips(&["::1"]));
        assert_eq!(starts(&mut race, t0 + ms(270)), ips(&["10.0.0.1"]));

        // It does not: IPv4 goes, and what comes later has the next turn.
        let mut race = Eyeballs::new(Pace::default());
        race.on_addresses(&ips(&["10.0.0.1", "10.0.0.2"]), t0);
        assert_eq!(starts(&mut race, t0 + ms(50)), ips(&["10.0.0.1"]));
        race.on_addresses(&ips(&["::1"]), t0 + ms(60));
        race.on_resolved();
        assert_eq!(race.poll(t0 + ms(60)), Next::Wait(Some(t0 + ms(300))));
        assert_eq!(starts(&mut race, t0 + ms(300)), ips(&["::1"]));
        assert_eq!(starts(&mut race, t0 + ms(550)), ips(&["10.0.0.2"]));

        // It is known that there is none: no wait.
        let mut race = Eyeballs::new(Pace::default());
        race.on_addresses(&ips(&["10.0.0.1"]), t0);
        race.on_resolved();
        assert_eq!(starts(&mut race, t0), ips(&["10.0.0.1"]));
    }

    #[test]
    fn a_race_is_lost_only_when_no_address_can_come_any_more() {
        let (mut race, t0) = (Eyeballs::new(Pace::default()), t0());
        race.on_addresses(&ips(&["::1"]), t0);
        assert_eq!(starts(&mut race, t0), ips(&["::1"]));
        race.on_failed();
        assert_eq!(race.poll(t0), Next::Wait(None), "the other answer is not there yet");
        race.on_addresses(&ips(&["10.0.0.1"]), t0);
        race.on_resolved();
        assert_eq!(starts(&mut race, t0), ips(&["10.0.0.1"]));
        race.on_failed();
        assert_eq!(race.poll(t0), Next::Failed);
        let mut nothing = Eyeballs::new(Pace::default());
        nothing.on_resolved();
        assert_eq!(nothing.poll(t0), Next::Failed);
    }

    #[test]
    fn the_delay_is_never_under_ten_milliseconds() {
        let (mut race, t0) = (Eyeballs::new(Pace { attempt_delay: Duration::ZERO, ..Pace::default() }), t0());
        race.on_addresses(&ips(&["::1", "::2"]), t0);
        assert_eq!(starts(&mut race, t0), ips(&["::1"]));
        assert_eq!(race.poll(t0), Next::Wait(Some(t0 + ms(10))));
    }

    #[test]
    fn delays_without_end_never_come_to_an_end_and_break_nothing() {
        let forever = Pace { attempt_delay: Duration::MAX, resolution_delay: Duration::MAX, ..Pace::default() };
        let (mut race, t0) = (Eyeballs::new(forever), t0());
        race.on_addresses(&ips(&["10.0.0.1", "10.0.0.2"]), t0);
        assert_eq!(race.poll(t0), Next::Wait(Some(t0 + LONGEST_DELAY)));
        race.on_resolved();
        assert_eq!(starts(&mut race, t0), ips(&["10.0.0.1"]));
        assert_eq!(race.poll(t0), Next::Wait(Some(t0 + LONGEST_DELAY)));
        race.on_failed();
        assert_eq!(starts(&mut race, t0), ips(&["10.0.0.2"]));
    }
}
