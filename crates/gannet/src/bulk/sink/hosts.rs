//! The slowest hosts of a run, by the mean latency of their rows. At most a thousand hosts are remembered: when there
//! are more, the faster half is forgotten, so that a run over a million hosts still names the slow ones. A host that
//! was forgotten and comes again starts anew: its count is then too small, its mean that of its later rows.

use std::collections::HashMap;
use std::time::Duration;

/// Latencies by host.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    by_name: HashMap<Box<str>, Latency>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    count: u64,
    total: Duration,
}

impl Latency {
    fn mean(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.total.as_nanos() / u128::from(self.count.max(1))).unwrap_or(u64::MAX))
    }
}

impl Hosts {
    /// Counts a row of the host that `url` names.
    pub(super) fn count(&mut self, url: &str, elapsed: Duration) {
        let Some(host) = host(url) else {
            return;
        };
        let latency = match self.by_name.get_mut(host) {
            Some(latency) => latency,
            None if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.by_name.entry(host.to_ascii_lowercase().into()).or_default()
            }
            None => self.by_name.entry(host.into()).or_default(),
        };
        latency.count += 1;
        latency.total += elapsed;
        if self.by_name.len() > MOST {
            self.forget_faster_half();
        }
    }

    /// The slowest hosts, the slowest first: name, rows, mean.
    pub(super) fn slowest(&self, count: usize) -> Vec<(&str, u64, Duration)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, l)| (&**name, l.count, l.mean())).collect();
        all.sort_unstable_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(b.0)));
        all.truncate(count);
        all
    }

    fn forget_faster_half(&mut self) {
        let mut means: Vec<Duration> = self.by_name.values().map(|latency| latency.mean()).collect();
        let (_, &mut median, _) = means.select_nth_unstable(MOST / 2);
        // Of equal ones as many stay as there is place for.
        let mut equal = MOST / 2 - self.by_name.values().filter(|latency| latency.mean() > median).count();
        self.by_name.retain(|_, latency| {
            let mean = latency.mean();
            let is_kept = mean > median || (mean == median && equal > 0);
            if mean == median {
                equal = equal.saturating_sub(1);
            }
            is_kept
        });
    }
}

const MOST: usize = 1000;

/// Host and port of a URL as it was given, without userinfo; the ports 80 and 443 are left off.
pub(crate) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
    Some(host).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_host_is_named_without_path_credentials_and_usual_port() {
        for (url, expected) in [
            ("https://a.test/x@y", Some("a.test")),
            ("https://u:p@a.test:443?q", Some("a.test")),
            ("http://a.test:80", Some("a.test")),
            ("http://a.test:8080/#f", Some("a.test:8080")),
            ("http://[::1]:80/", Some("[::1]")),
            ("/relative", None),
            ("http:///", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn the_slowest_come_first_by_their_mean() {
        let mut hosts = Hosts::default();
        for (url, millis) in
            [("http://a/", 10), ("http://B/", 1), ("http://a/", 30), ("http://b/", 3), ("http://c/", 20)]
        {
            hosts.count(url, MS * millis);
        }
        assert_eq!(hosts.slowest(2), [("a", 2, MS * 20), ("c", 1, MS * 20)]);
        assert_eq!(hosts.slowest(5)[2], ("b", 2, MS * 2));
    }

    #[test]
    fn over_many_hosts_memory_is_bounded_and_the_slow_ones_are_still_known() {
        let mut hosts = Hosts::default();
        for number in 0..20_000u32 {
            let millis = if number % 4_999 == 7 { 5_000 + number } else { number % 3 };
            hosts.count(&format!("http://h{number}/"), MS * millis);
            assert!(hosts.by_name.len() <= MOST);
        }
        let names: Vec<_> = hosts.slowest(5).into_iter().map(|(name, ..)| name.to_owned()).collect();
        assert_eq!(names[..4], ["h15004", "h10005", "h5006", "h7"]);
    }
}
