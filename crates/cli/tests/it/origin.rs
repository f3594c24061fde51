//! `gannet origin`: tells where it listens, answers, and ends when asked to.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::gannet::{command, gannet};

struct Served {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Served {
    fn start(args: &[&str]) -> Served {
        let args = [&["origin", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Served { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_ends_at_ctrl_c() {
    let mut served = Served::start(&["--https"]);
    let http = served.line().strip_prefix("listening on ").unwrap().to_owned();
    let https = served.line().strip_prefix("listening on ").unwrap().to_owned();
    let (https, authority) = https.split_once(", its authority in ").unwrap();
    gannet(["get", &format!("{http}/items/1")]).assert_code(0);
    gannet(["get", &format!("{https}/get"), "--cacert", authority]).assert_code(0);
    kill_process(Pid::from_child(&served.child), Signal::INT).unwrap();
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(authority).exists(), "the certificate's file stays behind");
}

#[test]
fn it_ends_with_the_process_that_started_it() {
    let mut served = Served::start(&["--while-stdin"]);
    assert!(served.line().starts_with("listening on http://127.0.0.1:"));
    drop(served.child.stdin.take());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    gannet(["origin", "--listen", &addr]).assert_code(1).assert_says(&addr);
    gannet(["origin", "--listen", "nowhere", "--https"]).assert_code(2).assert_says("HOST:PORT");
}
