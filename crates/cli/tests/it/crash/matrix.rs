//! The big matrix, run by `scripts/kill-matrix` in release: as many kills as asked for, and a page with its figures.

use std::fmt::Write as _;

use super::figures::Figures;
use super::halfway::Halfway;
use super::kills::{self, AtRandom, GROUP, ORDERED, PLAIN, ROW};
use super::{doubt, power};

#[test]
#[ignore = "takes minutes: scripts/kill-matrix runs it"]
fn the_kill_matrix() {
    let asked: u64 = std::env::var("GANNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "`scripts/kill-matrix --kills {asked}`, on {} cores shared with the server.\n", cores());
    page.push_str(TABLE);
    let mut places = Figures::default();
    for (name, figures) in [
        ("GET, at random times, `--no-adapt`", random(asked / 5, GROUP, PLAIN)),
        ("GET, adapting to the host", random(asked / 16, &[], PLAIN)),
        ("GET, `--ordered`", random(asked / 8, &["--ordered"], PLAIN)),
        ("GET, `--durability row`", random(asked / 16, ROW, PLAIN)),
        ("GET, to `.gz`", random(asked / 32, &[], "out.jsonl.gz")),
        ("GET, to `.zst`", random(asked / 32, &[], "out.jsonl.zst")),
        ("GET, `--durability os`", random(asked / 16, &["--durability", "os"], PLAIN)),
        ("GET, at calls", at_calls(asked * 3 / 10)),
        ("POST and PATCH, at random times", posts(asked / 10, PLAIN)),
        ("POST and PATCH, to `.gz`", posts(asked / 32, "out.jsonl.gz")),
        ("POST and PATCH, at calls", posts_at_calls(asked / 10)),
    ] {
        println!("{name}: {figures:?}");
        page.push_str(&figures.row(name));
        places.add(figures);
    }
    page.push_str(&places.row("**all**"));
    let _ = writeln!(
        page,
        "\nPOST and PATCH: {} sent, {} of them twice; {} rows reported in-doubt.",
        places.posts, places.posts_twice, places.in_doubt
    );
    assert_eq!(places.posts_twice, 0);
    let lefts = [rustix::process::Signal::TERM, rustix::process::Signal::KILL].map(|by| Halfway::by(by, &[]));
    let cuts = power::tear(&lefts, 1);
    let _ = writeln!(page, "The output torn at every byte of its last three rows: {cuts} resumes, all whole.");
    let _ = write!(page, "\n| where the kill fell | kills |\n|---|---|\n{}", places.places());
    std::fs::write(PAGE, page).unwrap();
}

fn random(kills: u64, options: &'static [&'static str], out: &'static str) -> Figures {
    let rows = if options == ROW { 2_000 } else { 20_000 };
    let mut all = Figures::default();
    let mut seed = 100;
    while all.all_kills() < kills {
        seed += 1;
        all.add(AtRandom { rows, kills: 25.min(kills), seed, options, out }.survive());
    }
    all
}

fn at_calls(kills: u64) -> Figures {
    // Three lists over about twelve calls; each place is killed up to three times, where its resumes come that far.
    let each = (kills / 3 / 12).max(2);
    let list =
        [(GROUP, 0.3), (ROW, 0.02), (ORDERED, 0.02)].map(|(options, delay)| kills::sample(options, delay, each, PLAIN));
    Figures::gather(&list.concat(), kills::AtCall::survive)
}

fn posts(kills: u64, out: &'static str) -> Figures {
    let mut all = Figures::default();
    let mut seed = 200;
    while all.all_kills() < kills {
        seed += 1;
        all.add(doubt::at_random(4_000, 12.min(kills), seed, if seed % 3 == 0 { &["--ordered"] } else { &[] }, out));
    }
    all
}

fn posts_at_calls(kills: u64) -> Figures {
    Figures::gather(&doubt::sample((kills / 2 / 12).max(2), PLAIN), doubt::PostsAtCall::survive)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results/kill-matrix.md");
const HEAD: &str = "\
# Killed, and brought to its end

A run is killed with SIGKILL, resumed, killed again, and at last left to finish. The origin counts what reached it by
row; the output is held against the input. The page is written only where nothing was lost or doubled: a row that is
missing, stands twice, is torn, has another's body, or is asked for again although it stood in the output, fails the run.
At random times 64 requests are under way (32 POSTs), at calls 8; a kill at a call comes before the call takes effect.

";
const TABLE: &str = "\
| what | datasets | rows | starts | kills | asked again per kill: mean | max | rows lost | rows doubled |
|---|---|---|---|---|---|---|---|---|
";
