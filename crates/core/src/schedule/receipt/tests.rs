//! The receipt against logs of what truly happened.

use proptest::prelude::*;

use super::*;

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn t0() -> Instant {
    Instant::now()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One host's account after starts at these milliseconds, each ended at once.
fn after_starts(at: &[u64]) -> HostReceipt {
    let (base, mut receipts, mut host) = (t0(), Receipts::new(), Receipt::default());
    for at in at {
        receipts.on_start(&mut host, base + ms(*at));
        receipts.on_end(&mut host);
    }
    host.named("h")
}

fn name(number: u64) -> String {
    format!("host-{number}:443")
}

/// A host that had this many starts and ends, a minute ago.
fn used(receipts: &mut Receipts, starts: u64, now: Instant) -> Receipt {
    let mut host = Receipt::default();
    for _ in 0..starts {
        receipts.on_start(&mut host, now - Duration::from_secs(60));
        receipts.on_end(&mut host);
    }
    host
}

#[test]
fn the_most_at_once_is_the_peak_of_each_host_and_of_all_together() {
    let (now, mut receipts) = (t0(), Receipts::new());
    let (mut one, mut other) = (Receipt::default(), Receipt::default());
    for host in [&mut one, &mut other] {
        (0..3).for_each(|_| receipts.on_start(host, now));
    }
    (0..3).for_each(|_| receipts.on_end(&mut one));
    (0..2).for_each(|_| receipts.on_start(&mut one, now));
    let summary = receipts.summary([("one", &one), ("other", &other)].into_iter());
    assert_eq!(summary.most_at_once, 6);
    assert_eq!(summary.hosts.iter().map(|host| host.most_at_once).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_start_during_a_hold_is_a_violation_up_to_its_last_nanosecond() {
    let (base, mut receipts, mut host) = (t0(), Receipts::new(), Receipt::default());
    let until = base + ms(5_000);
    receipts.on_start(&mut host, base);
    host.on_hold(until);
    host.on_hold(base + ms(1_000));
    receipts.on_start(&mut host, until);
    assert_eq!(host.named("h").retry_after_violations, 0);
    receipts.on_start(&mut host, until - Duration::from_nanos(1));
    let summary = receipts.summary([("h", &host)].into_iter());
    assert_eq!((summary.retry_after_violations, summary.hosts[0].retry_after_violations), (1, 1));
}

#[test]
fn starts_of_one_second_are_found_across_slots_and_silences() {
    assert_eq!(after_starts(&[0]).most_per_second, 1);
    assert_eq!(after_starts(&[0, 5_000, 10_000]).most_per_second, 1);
    assert_eq!(after_starts(&[0, 999]).most_per_second, 2);
    assert_eq!(after_starts(&[0, 10, 20, 30_000, 30_900, 31_800]).most_per_second, 3);
    let steady: Vec<u64> = (0..1_000).map(|n| n * 20).collect();
    let most = after_starts(&steady).most_per_second;
    assert!((50..=53).contains(&most), "50 a second, and at most 50 ms of starts more: {most}");
}

#[test]
fn a_host_that_returns_goes_on_where_it_was() {
    let (now, mut receipts) = (t0(), Receipts::new());
    let mut host = receipts.resume("a");
    receipts.on_start(&mut host, now);
    host.on_hold(now + ms(9_000));
    receipts.on_end(&mut host);
    receipts.retire("a", host, now);
    let mut host = receipts.resume("a");
    receipts.on_start(&mut host, now + ms(500));
    let wanted =
        HostReceipt { host: "a".to_owned(), most_at_once: 1, most_per_second: 2, starts: 2, retry_after_violations: 1 };
    let summary = receipts.summary([("a", &host)].into_iter());
    assert_eq!((summary.hosts, summary.hosts_total), (vec![wanted], 1));
}

#[test]
fn the_busiest_thousand_are_listed_and_the_others_counted() {
    let (now, mut receipts) = (t0(), Receipts::new());
    for number in 0..5_000 {
        let starts = if number % 5 == 0 { 10 + number } else { 1 + number % 7 };
        let host = used(&mut receipts, starts, now);
        receipts.retire(&name(number), host, now);
    }
    assert!(receipts.kept.len() <= 2 * LISTED, "{}", receipts.kept.len());
    let summary = receipts.summary(std::iter::empty());
    assert_eq!(summary.hosts_total, 5_000);
    let listed: Vec<_> = summary.hosts.iter().map(|host| host.starts).collect();
    let wanted: Vec<_> = (0..1_000).rev().map(|nth| 10 + nth * 5).collect();
    assert_eq!(listed, wanted);
    assert_eq!(summary.most_per_second, 5_005);

    let first = summary.hosts.iter().map(|host| host.host.clone()).collect::<std::collections::BTreeSet<_>>();
    let merged = (0..5_000).find(|number| !first.contains(&*name(*number))).unwrap();
    assert_eq!(receipts.resume(&name(merged)).starts, 1 + merged % 7);
    assert_eq!(receipts.summary(std::iter::empty()).hosts_total, 4_999);
}

#[test]
fn a_wronged_host_is_listed_before_busier_ones_and_never_merged() {
    let (now, mut receipts) = (t0(), Receipts::new());
    let mut wronged = Receipt::default();
    wronged.on_hold(now - ms(30_000));
    receipts.on_start(&mut wronged, now - ms(40_000));
    receipts.on_end(&mut wronged);
    receipts.retire("wronged", wronged, now);
    for number in 0..4_000 {
        let host = used(&mut receipts, 5, now);
        receipts.retire(&name(number), host, now);
    }
    let summary = receipts.summary(std::iter::empty());
    assert_eq!((summary.hosts[0].host.as_str(), summary.hosts[0].retry_after_violations), ("wronged", 1));
    assert_eq!((summary.hosts.len(), summary.hosts_total), (LISTED, 4_001));
}

#[test]
fn a_hold_that_is_not_over_survives_any_number_of_other_hosts() {
    let (now, mut receipts) = (t0(), Receipts::new());
    let mut held = used(&mut receipts, 1, now);
    held.on_hold(now + ms(1));
    receipts.retire("held", held, now);
    for number in 0..5_000 {
        let host = used(&mut receipts, 2, now);
        receipts.retire(&name(number), host, now);
    }
    let mut held = receipts.resume("held");
    receipts.on_start(&mut held, now);
    assert_eq!(receipts.summary([("held", &held)].into_iter()).retry_after_violations, 1);
}

#[test]
fn a_second_that_is_not_over_survives_any_number_of_other_hosts() {
    let (now, mut receipts) = (t0(), Receipts::new());
    let mut recent = Receipt::default();
    receipts.on_start(&mut recent, now - ms(900));
    receipts.on_end(&mut recent);
    receipts.retire("recent", recent, now);
    for number in 0..5_000 {
        let host = used(&mut receipts, 2, now);
        receipts.retire(&name(number), host, now);
    }
    let mut recent = receipts.resume("recent");
    receipts.on_start(&mut recent, now);
    assert_eq!(recent.named("recent").most_per_second, 2);
}

#[test]
fn a_million_hosts_stay_cheap() {
    assert!(size_of::<Receipt>() <= 32, "{}", size_of::<Receipt>());
    assert!(size_of::<Recent>() <= 72, "{}", size_of::<Recent>());
    assert!(size_of::<(u64, Merged)>() <= 16);
    let (now, mut receipts) = (t0(), Receipts::new());
    for number in 0..100_000 {
        let host = used(&mut receipts, 1, now);
        assert!(host.recent.is_none(), "one start needs no slots");
        receipts.retire(&name(number), host, now);
    }
    assert!(receipts.kept.len() <= 2 * LISTED);
    assert_eq!(receipts.summary(std::iter::empty()).hosts_total, 100_000);
}

#[test]
fn the_summary_reads_back() {
    let host = HostReceipt {
        host: "a:443".to_owned(),
        most_at_once: 32,
        most_per_second: 50,
        starts: 900,
        retry_after_violations: 0,
    };
    let summary = ReceiptSummary {
        hosts: vec![host],
        most_at_once: 64,
        most_per_second: 50,
        hosts_total: 1,
        ..Default::default()
    };
    let text = serde_json::to_string(&summary).unwrap();
    let wanted = r#"{"hosts":[{"host":"a:443","most_at_once":32,"most_per_second":50,"starts":900,"retry_after_violations":0}],"most_at_once":64,"most_per_second":50,"retry_after_violations":0,"hosts_total":1}"#;
    assert_eq!(text, wanted);
    assert_eq!(serde_json::from_str::<ReceiptSummary>(&text).unwrap(), summary);
}

/// The most instants (milliseconds, in order) that any window of this length holds.
fn most_within(starts: &[u64], window: u64) -> u32 {
    let counts = starts
        .iter()
        .enumerate()
        .map(|(first, from)| starts[first..].iter().take_while(|at| **at - from < window).count());
    counts.max().unwrap_or(0) as u32
}

proptest! {
    #[test]
    fn the_most_per_second_is_no_less_than_the_truth_and_exact_to_a_slot(
        gaps in prop::collection::vec(prop_oneof![0u64..3, 0u64..60, 0u64..1_500], 1..400),
    ) {
        let starts: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let counted = after_starts(&starts).most_per_second;
        prop_assert!(counted >= most_within(&starts, 1_000), "{counted}");
        prop_assert!(counted <= most_within(&starts, 1_050), "{counted}");
    }

    /// Hosts come, start, end, are held and forgotten in any order: the account agrees with a log of it all.
    #[test]
    fn the_account_agrees_with_the_log(
        script in prop::collection::vec((0u64..6, 0u8..5, 0u64..900), 1..400),
    ) {
        let mut now = t0();
        let mut receipts = Receipts::new();
        let mut live: BTreeMap<u64, Receipt> = BTreeMap::new();
        let mut log: BTreeMap<u64, (u64, u32, u32, u32)> = BTreeMap::new(); // starts, in flight, most, violations
        let mut holds: BTreeMap<u64, Instant> = BTreeMap::new();
        let mut most = 0;
        for (number, event, gap) in script {
            now += ms(gap);
            let host = live.entry(number).or_insert_with(|| receipts.resume(&name(number)));
            let entry = log.entry(number).or_default();
            match event {
                0 | 1 => {
                    receipts.on_start(host, now);
                    entry.0 += 1;
                    entry.1 += 1;
                    entry.2 = entry.2.max(entry.1);
                    entry.3 += u32::from(holds.get(&number).is_some_and(|until| *until > now));
                    most = most.max(log.values().map(|entry| entry.1).sum());
                }
                2 if entry.1 > 0 => {
                    receipts.on_end(host);
                    entry.1 -= 1;
                }
                3 => {
                    host.on_hold(now + ms(gap * 3));
                    let hold = holds.entry(number).or_insert(now);
                    *hold = (*hold).max(now + ms(gap * 3));
                }
                4 if entry.1 == 0 => {
                    let host = live.remove(&number).unwrap();
                    receipts.retire(&name(number), host, now);
                }
                _ => {}
            }
        }
        let names: BTreeMap<_, _> = live.keys().map(|number| (*number, name(*number))).collect();
        let summary = receipts.summary(live.iter().map(|(number, host)| (&*names[number], host)));
        let started = log.iter().filter(|(_, entry)| entry.0 > 0);
        prop_assert_eq!(summary.hosts_total, started.clone().count() as u64);
        prop_assert_eq!(summary.most_at_once, u64::from(most));
        prop_assert_eq!(summary.retry_after_violations, log.values().map(|entry| u64::from(entry.3)).sum::<u64>());
        for (number, (starts, _, most_at_once, violations)) in started {
            let host = summary.hosts.iter().find(|host| *host.host == *name(*number)).unwrap();
            prop_assert_eq!((host.starts, host.most_at_once, host.retry_after_violations), (*starts, *most_at_once, *violations));
        }
    }
}
