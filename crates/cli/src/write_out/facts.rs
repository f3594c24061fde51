//! What is known of a transfer when it is over, under curl's names. Times are in seconds from the start of the
//! request, as curl's are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use gannet::trace::{Event, RequestTrace};
use gannet::{Headers, Request, Response, StatusCode, Timings, Url, Version};
use serde_json::{Value, json};

/// The variables, in the order of the alphabet.
pub(crate) const NAMES: &[&str] = &[
    "content_type",
    "errormsg",
    "exitcode",
    "filename_effective",
    "http_code",
    "http_version",
    "local_ip",
    "local_port",
    "method",
    "num_certs",
    "num_connects",
    "num_headers",
    "num_redirects",
    "num_retries",
    "redirect_url",
    "remote_ip",
    "remote_port",
    "response_code",
    "scheme",
    "size_download",
    "size_request",
    "size_upload",
    "speed_download",
    "speed_upload",
    "time_appconnect",
    "time_connect",
    "time_namelookup",
    "time_pretransfer",
    "time_redirect",
    "time_starttransfer",
    "time_total",
    "url",
    "url_effective",
];

/// Counted while the request is under way.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Counted>);

#[derive(Clone, Debug, Default)]
struct Counted {
    connects: u64,
    retries: u64,
    head_bytes: u64,
    body_bytes: u64,
    peer: Option<SocketAddr>,
    /// Which a redirect may have changed.
    method: Option<String>,
    url: Option<Url>,
    redirects: u64,
    /// Of the last response, for transfers that hand none out.
    head: Option<Head>,
    received: u64,
    timings: Option<Timings>,
    /// An attempt has come to its end, unless it is redirected or repeated.
    is_over: bool,
}

#[derive(Clone, Debug)]
struct Head {
    version: Version,
    status: StatusCode,
    headers: Headers,
}

impl Counted {
    /// Whatever begins behind the end of an attempt is another, of which the answer counts.
    fn begin(&mut self) {
        if std::mem::take(&mut self.is_over) {
            (self.method, self.url, self.redirects) = (None, None, 0);
            (self.head, self.received, self.timings) = (None, 0, None);
        }
    }
}

impl Counts {
    /// The fields of the last response.
    pub(crate) fn headers(&self) -> Option<Headers> {
        self.read().head.map(|head| head.headers)
    }

    fn read(&self) -> Counted {
        self.0.lock().map(|counted| counted.clone()).unwrap_or_default()
    }
}

/// Counts for whoever holds the counts too.
pub(crate) struct Counting(pub(crate) std::sync::Arc<Counts>);

impl RequestTrace for Counting {
    fn on_event(&self, event: &Event<'_>) {
        let Ok(mut counted) = self.0.0.lock() else { return };
        match event {
            Event::QueueStart
            | Event::DnsStart { .. }
            | Event::DnsCacheHit { .. }
            | Event::ConnectStart { .. }
            | Event::Sending { .. } => counted.begin(),
            Event::ConnectEnd { peer, .. } => {
                counted.connects += 1;
                counted.peer = *peer;
            }
            Event::Reused { peer, .. } => {
                counted.begin();
                counted.peer = *peer;
            }
            Event::Retry { .. } => {
                counted.retries += 1;
                counted.is_over = false;
            }
            Event::HeadSent { bytes } => counted.head_bytes += bytes,
            Event::BodySent { bytes } => counted.body_bytes += bytes,
            Event::Redirect { method, to, .. } => {
                counted.method = Some(method.to_string());
                counted.url = Some(to.get().clone());
                counted.redirects += 1;
                counted.is_over = false;
            }
            Event::HeadReceived { status, version, headers, .. } => {
                counted.head = Some(Head { version: *version, status: *status, headers: headers.get().clone() });
                (counted.received, counted.is_over) = (0, true);
            }
            Event::BodyReceived { bytes } => counted.received += bytes,
            Event::End { timings } => counted.timings = Some((*timings).clone()),
            Event::Error { .. } => counted.is_over = true,
            _ => {}
        }
    }
}

/// All of it.
pub(crate) struct Facts {
    known: BTreeMap<&'static str, Value>,
    /// What was asked first.
    url: Url,
}

impl Facts {
    /// What is known of the request before there is an answer. Without the password of its URL.
    pub(crate) fn new(request: &Request, file: Option<&str>) -> Self {
        let mut url = request.url().clone();
        // Neither can fail where the other parts allowed a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let known = NAMES.iter().map(|name| (*name, Value::Null)).collect();
        let mut facts = Facts { known, url: url.clone() };
        facts.set("url", url.as_str());
        facts.on_url(&url);
        facts.set("method", request.method().as_str());
        facts.set("filename_effective", file);
        facts.set("exitcode", 0);
        for name in ["http_code", "response_code"] {
            // As curl shows a status that there is not.
            facts.set(name, "000");
        }
        for name in NAMES.iter().filter(|name| ["num_", "size_", "speed_"].iter().any(|kind| name.starts_with(kind))) {
            facts.set(name, 0);
        }
        for name in NAMES.iter().filter(|name| name.starts_with("time_")) {
            facts.set(name, 0.0);
        }
        facts
    }

    /// Takes in what the response says; `elapsed` is how long all of it took.
    pub(crate) fn on_response(&mut self, response: &Response, elapsed: Duration) {
        let (version, status, headers) = (response.version(), response.status(), response.headers().clone());
        self.on_url(response.url());
        self.on_head(&Head { version, status, headers }, response.url());
        self.set("num_certs", response.tls().map_or(0, |tls| tls.certificates().len()));
        self.set("num_redirects", response.history().len());
        self.on_address(response.remote_addr(), "remote_ip", "remote_port");
        self.on_address(response.local_addr(), "local_ip", "local_port");
        self.set("size_download", response.received());
        let timings = response.timings();
        self.on_timings(&timings, !response.history().is_empty());
        self.on_speed("speed_download", response.received(), timings.total.unwrap_or(elapsed));
    }

    /// Takes in what was counted on the way; all there is where no response was handed out.
    pub(crate) fn on_counts(&mut self, counts: &Counts, elapsed: Duration, has_response: bool) {
        let counted = counts.read();
        self.set("num_connects", counted.connects);
        self.set("num_retries", counted.retries);
        self.set("size_request", counted.head_bytes);
        self.set("size_upload", counted.body_bytes);
        self.set("time_total", elapsed.as_secs_f64());
        self.on_speed("speed_upload", counted.body_bytes, elapsed);
        if let Some(method) = counted.method {
            self.set("method", method);
        }
        if has_response {
            return;
        }
        let url = counted.url.unwrap_or_else(|| self.url.clone());
        self.on_url(&url);
        if let Some(head) = &counted.head {
            self.on_head(head, &url);
        }
        self.set("num_redirects", counted.redirects);
        self.on_address(counted.peer, "remote_ip", "remote_port");
        self.set("size_download", counted.received);
        self.on_speed("speed_download", counted.received, elapsed);
        if let Some(timings) = counted.timings {
            self.on_timings(&timings, !timings.before.is_zero());
        }
    }

    /// How it ended.
    pub(crate) fn on_end(&mut self, exit: i32, error: Option<String>) {
        self.set("exitcode", exit);
        self.set("errormsg", error);
    }

    /// Where the body went.
    pub(crate) fn on_file(&mut self, file: &str) {
        self.set("filename_effective", file);
    }

    pub(crate) fn failed(&self) -> bool {
        self.known.get("exitcode").is_some_and(|exit| *exit != 0)
    }

    /// A variable as it is written.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.known.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if name.starts_with("time_") => Some(format!("{:.6}", number.as_f64()?)),
            other => Some(other.to_string()),
        }
    }

    /// All variables; a status that there is not is 0 there, as curl's.
    pub(super) fn json(&self) -> Value {
        let mut all = json!(self.known);
        for name in ["http_code", "response_code"] {
            if all[name].is_string() {
                all[name] = json!(0);
            }
        }
        all["gannet_version"] = json!(env!("CARGO_PKG_VERSION"));
        all
    }

    fn on_url(&mut self, url: &Url) {
        self.set("url_effective", url.as_str());
        self.set("scheme", url.scheme());
    }

    /// Takes in the head that this URL answered with.
    fn on_head(&mut self, head: &Head, url: &Url) {
        let status = head.status.as_u16();
        self.set("http_code", status);
        self.set("response_code", status);
        self.set("content_type", head.headers.get("content-type"));
        self.set("num_headers", head.headers.len());
        let version = match head.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            _ => "2",
        };
        self.set("http_version", version);
        let next = head.headers.get("location").filter(|_| head.status.is_redirection());
        self.set("redirect_url", next.and_then(|next| url.join(next).ok()).map(String::from));
    }

    fn on_address(&mut self, address: Option<SocketAddr>, ip: &'static str, port: &'static str) {
        self.set(ip, address.map(|address| address.ip().to_string()));
        self.set(port, address.map(|address| address.port()));
    }

    fn on_timings(&mut self, timings: &Timings, redirected: bool) {
        let known = |step: Option<Duration>| step.unwrap_or_default();
        let lookup = timings.before + timings.queued + known(timings.dns);
        let connect = lookup + known(timings.connect);
        let ready = connect + known(timings.tls);
        self.set("time_redirect", if redirected { timings.before.as_secs_f64() } else { 0.0 });
        self.set("time_namelookup", lookup.as_secs_f64());
        self.set("time_connect", connect.as_secs_f64());
        // Zero without TLS, as curl's.
        self.set("time_appconnect", timings.tls.map_or(0.0, |_| ready.as_secs_f64()));
        self.set("time_pretransfer", ready.as_secs_f64());
        self.set("time_starttransfer", known(timings.first_byte).as_secs_f64());
    }

    fn on_speed(&mut self, name: &'static str, bytes: u64, time: Duration) {
        let seconds = time.as_secs_f64();
        self.set(name, if seconds > 0.0 { (bytes as f64 / seconds) as u64 } else { 0 });
    }

    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.known.insert(name, value.into());
    }
}

/// The fields of the response, each name with all its values, names in lower case.
pub(super) fn header_json(headers: Option<&Headers>) -> Value {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.into_iter().flat_map(Headers::iter) {
        fields.entry(name.to_ascii_lowercase()).or_default().push(String::from_utf8_lossy(value).into_owned());
    }
    json!(fields)
}
