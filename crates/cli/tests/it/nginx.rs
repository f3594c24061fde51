//! The main job against a server that people run: 10,000 URLs in a file, nginx, and every kind of failure among them.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use gannet_origin::Origin;
use serde_json::Value;

use super::gannet::{Place, gannet, rows_in, wait_until};

/// An nginx of this test's own, stopped when dropped.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) port: u16,
    pub(crate) place: Place,
}

impl Nginx {
    fn start() -> Nginx {
        let (place, port) = (Place::new(), free_port());
        let server = format!(
            "keepalive_requests 1000000;
            server {{
                listen 127.0.0.1:{port};
                location /items/ {{ return 200 '{{\"uri\":\"$uri\"}}'; }}
                location / {{ return 404 'nothing here'; }}
            }}"
        );
        Nginx::run(place, port, &server)
    }

    /// Runs it with this in its `http` block; it answers at the port then.
    pub(crate) fn run(place: Place, port: u16, http: &str) -> Nginx {
        let root = place.name("");
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; default_type application/json;
                client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};
                uwsgi_temp_path {root}; scgi_temp_path {root};
                {http}
            }}"
        );
        let path = place.file("nginx.conf", &config);
        // Debian keeps nginx where an ordinary user's PATH does not look.
        let search = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new("nginx")
            .env("PATH", search)
            .args(["-c", &path, "-p", &root, "-e", &place.name("start.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is not installed: run scripts/install-test-deps");
        wait_until("nginx answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Nginx { child, port, place }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// 10,000 lines to nginx, and five in the middle that cannot be ok: by line number.
fn input(nginx: &Nginx, origin: &Origin) -> (String, [(usize, &'static str); 5]) {
    let mut lines: Vec<String> = (0..10_000).map(|n| nginx.url(&format!("/items/{n}"))).collect();
    lines[1000] = nginx.url("/missing");
    lines[3000] = format!("http://127.0.0.1:{}/refused", free_port());
    lines[5000] = "http://no-such-host.invalid/".to_owned();
    lines[7000] = origin.url("/hang");
    lines[9000] = "http://[malformed".to_owned();
    let kinds = [(1000, "status"), (3000, "connect"), (5000, "dns"), (7000, "timeout.read"), (9000, "url")];
    (lines.join("\n"), kinds)
}

#[test]
fn ten_thousand_urls_give_ten_thousand_rows_and_only_the_bad_ones_fail() {
    let (nginx, origin, place) = (Nginx::start(), Origin::start_blocking().unwrap(), Place::new());
    let (lines, bad) = input(&nginx, &origin);
    let (file, out) = (place.file("urls.txt", &lines), place.path("rows.jsonl"));
    let args = ["fetch", &file, "-o", out.to_str().unwrap(), "--backoff", "0.01", "--timeout-read", "1"];
    gannet(args).assert_code(3);
    let mut rows = rows_in(&out);
    rows.sort_by_key(|row| row["index"].as_u64());
    assert_eq!(rows.len(), 10_000);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["index"], index, "each index once");
        match bad.iter().find(|(at, _)| *at == index) {
            Some((_, kind)) => assert_eq!(row["error"]["kind"], *kind, "{row}"),
            None => {
                assert_eq!(row["ok"], true, "{row}");
                assert_eq!(row["json"]["uri"], format!("/items/{index}"), "the row has its own body");
            }
        }
    }
    assert_eq!(rows[9000]["line"], 9001);
}

#[test]
fn ordered_rows_stand_in_input_order_with_failures_among_them() {
    let (nginx, origin, place) = (Nginx::start(), Origin::start_blocking().unwrap(), Place::new());
    let (lines, _) = input(&nginx, &origin);
    let (file, out) = (place.file("urls.txt", &lines), place.path("rows.jsonl"));
    let out_name = out.to_str().unwrap();
    let args = ["fetch", &file, "-o", out_name, "--ordered", "--backoff", "0.01", "--timeout-read", "1"];
    gannet(args).assert_code(3);
    let indices: Vec<Option<u64>> = rows_in(&out).iter().map(|row: &Value| row["index"].as_u64()).collect();
    assert_eq!(indices, (0..10_000).map(Some).collect::<Vec<_>>());
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 10_000);
}
