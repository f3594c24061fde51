//! `gannet demo`: its parts quickly, and the whole of it where there is time.

use gannet_origin::Origin;
use serde_json::Value;

use crate::gannet::{command, gannet, ran};

#[test]
fn threads_and_concurrency_are_measured_in_a_process_of_their_own() {
    let origin = Origin::start_blocking().unwrap();
    for (way, threads) in [("threads", 50..60), ("concurrent", 1..5)] {
        origin.reset_stats();
        let ran = gannet(["demo", "--only", way, "--origin", &origin.url("")]).assert_code(0);
        let figures: Value = serde_json::from_slice(&ran.out).unwrap();
        assert_eq!(figures["ok"], 50, "{way}");
        assert!(threads.contains(&figures["threads"].as_u64().unwrap()), "{way}: {figures}");
        assert!(figures["peak_kib"].as_u64().unwrap() > 0 && figures["seconds"].as_f64().unwrap() > 0.2, "{figures}");
        // Like with like: as many at once, from the start. On a busy machine the first may be gone before the last.
        assert!(origin.stats().max_in_flight >= 40, "{way}: {}", origin.stats().max_in_flight);
    }
}

// Left out by default: it runs 50 slow requests one after the other, which is the point of the demo. Its parts are
// tested above, and how much faster concurrency is belongs to the machine, not to a test. `cargo test -- --ignored`.
#[test]
#[ignore = "takes about 20 s"]
fn the_whole_demo_goes_as_planned() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(["demo"]);
    command.current_dir(dir.path());
    let ran = ran(command).assert_code(0);
    for part in ["--no-adapt", "one by one", "50 threads", "concurrently", "status 404", "timeout.read"] {
        assert!(ran.text().contains(part), "{part}: {}", ran.text());
    }
    assert!(dir.path().join("gannet-demo-1.jsonl").exists());
}
