//! From arguments to the library's options: one place for what `fetch` and `get` mean by the same option.

mod connect;

use std::num::NonZeroUsize;
use std::path::Path;

use gannet::bulk::{BulkOptions, PolitenessOptions};
use gannet::{
    ErrorKind, Headers, HttpVersion, Options, Proxy, ProxyCredentials, ProxyRules, RedirectPolicy, Session, Timeouts,
};

use crate::args::values::{self, TimeLimit};
use crate::args::{DecodeArgs, FetchArgs, NetworkArgs, ProxyArgs, RequestArgs, TimeoutArgs};
use crate::exit::usage;
use crate::who;

/// A session's options. `timeouts.total` is left alone: `fetch` bounds attempts itself.
pub(crate) fn session(timeouts: &TimeoutArgs, network: &NetworkArgs, request: &RequestArgs) -> anyhow::Result<Options> {
    let mut options = Options { timeouts: limits(timeouts), redirects: redirects(network), ..Options::default() };
    options.without_headers = values::left_out(&request.headers);
    if request.user_agent.as_deref() == Some("") {
        options.without_headers.push("User-Agent".to_owned());
    }
    options.http.version = version(network);
    options.http.ping_interval = network.http2_ping_interval;
    options.http.ping_timeout = network.http2_ping_timeout.unwrap_or(options.http.ping_timeout);
    options.tls.danger.accept_invalid_certs = network.insecure;
    for path in &network.cacert {
        options.tls.extra_roots.push(certificates(path, "--cacert")?);
    }
    connect::apply(&network.connect, &mut options)?;
    options.proxy = proxy(&network.proxy)?;
    Ok(options)
}

/// The proxies of the command line, or else those of the environment.
///
/// # Errors
/// Usage: a variable that names no proxy, an unreadable file.
fn proxy(args: &ProxyArgs) -> anyhow::Result<Proxy> {
    let mut proxy = Proxy { no_proxy: args.no_proxy.clone(), from_env: true, ..Proxy::default() };
    match &args.proxy {
        // Its exceptions hold for a proxy that is given too, as for curl.
        Some(given) => (proxy.url, proxy.from_env) = (given.0.clone(), given.0.is_some()),
        None => {
            let rules = ProxyRules::from_variables(|name| std::env::var(name).ok());
            rules.map_err(|error| usage(format!("{error}; --proxy '' asks hosts directly")))?;
        }
    }
    proxy.credentials = args.proxy_user.clone().map(|(user, password)| ProxyCredentials { user, password });
    proxy.headers = values::headers(&args.proxy_headers)?;
    if let Some(name) = values::left_out(&args.proxy_headers).first() {
        return Err(usage(format!("--proxy-header '{name}:': nothing is sent to proxies that could be left out")));
    }
    proxy.tls.danger.accept_invalid_certs = args.proxy_insecure;
    proxy.tls.client = connect::client([&args.proxy_cert, &args.proxy_key], ["--proxy-cert", "--proxy-key"])?;
    proxy.tls.pins = args.proxy_pinnedpubkey.clone();
    for path in &args.proxy_cacert {
        proxy.tls.extra_roots.push(certificates(path, "--proxy-cacert")?);
    }
    Ok(proxy)
}

/// A session with these options, whose names are looked up as the network's say.
///
/// # Errors
/// Usage: an option that cannot be used as it stands.
pub(crate) fn open(options: Options, network: &NetworkArgs) -> anyhow::Result<Session> {
    let resolver = connect::resolver(&network.connect)?;
    let builder = Session::builder(options);
    let session = match resolver {
        Some(resolver) => builder.resolver(resolver).build(),
        None => builder.build(),
    };
    session.map_err(|error| match error.kind() {
        ErrorKind::Url => usage(format!("--base-url: {}", error.message())),
        ErrorKind::Request => connect::refused(&error).unwrap_or_else(|| usage(error.message())),
        _ => error.into(),
    })
}

/// The content type of forms, and of what `-d` sends, as curl has it.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// How a bulk run is done.
pub(crate) fn bulk(args: &FetchArgs) -> BulkOptions {
    let mut options = BulkOptions::default();
    options.limits.concurrency = args.limits.concurrency;
    options.limits.per_host = Some(args.limits.per_host).filter(|most| *most > 0);
    options.limits.rate = args.limits.rate;
    if args.limits.no_adapt {
        options.polite = PolitenessOptions::off();
    }
    options.polite.hedge = args.limits.hedge;
    options.retry.attempts = args.retries.retries.saturating_add(1);
    if let Some(statuses) = args.retries.retry_on {
        options.retry.statuses = statuses;
    }
    options.retry.unsafe_methods = args.retries.retry_unsafe;
    options.retry.backoff.base = args.retries.backoff;
    options.retry.backoff.max = args.retries.backoff_max;
    options.total = args.timeouts.timeout.map_or(options.total, |limit| limit.0);
    options.deadline = args.deadline.and_then(|limit| limit.0);
    options.batch = args.limits.batch;
    options.fail_fast = args.limits.fail_fast;
    options.max_body = args.limits.max_body;
    options.memory = args.limits.memory;
    options.threads = args.limits.threads.or_else(threads);
    options
}

/// One for each processor that this process may use. With many more, they wait for the engine and not for the network.
fn threads() -> Option<NonZeroUsize> {
    const MOST: NonZeroUsize = NonZeroUsize::new(8).expect("invariant: not zero");
    Some(std::thread::available_parallelism().ok()?.min(MOST))
}

/// The header fields of a request: `-H`, `-A`, `-e` and those that say who asks. Credentials are marked secret.
pub(crate) fn headers(args: &RequestArgs) -> anyhow::Result<Headers> {
    let mut headers = values::headers(&args.headers)?;
    for (name, value) in [("user-agent", &args.user_agent), ("referer", &args.referer)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty() && !headers.contains(name)) {
            headers.append(name, value)?;
        }
    }
    who::fields(&mut headers, &args.who)?;
    Ok(headers)
}

fn limits(args: &TimeoutArgs) -> Timeouts {
    let default = Timeouts::default();
    let chosen = |arg: Option<TimeLimit>, default| arg.map_or(default, |limit| limit.0);
    Timeouts {
        dns: chosen(args.dns_timeout, default.dns),
        connect: chosen(args.timeout_connect, default.connect),
        read: chosen(args.timeout_read, default.read),
        ..default
    }
}

/// How far responses are taken, and their bodies undone.
pub(crate) fn decode(args: &DecodeArgs, options: &mut Options) {
    options.decode.enabled = !args.no_decode;
    options.decode.max_ratio = Some(args.max_ratio).filter(|ratio| *ratio > 0);
    if let Some(most) = args.max_head {
        options.response.max_head = usize::try_from(most).unwrap_or(usize::MAX);
    }
}

fn version(args: &NetworkArgs) -> HttpVersion {
    match (args.http1, args.http2_prior_knowledge) {
        (true, _) => HttpVersion::Http1,
        (_, true) => HttpVersion::Http2PriorKnowledge,
        _ => HttpVersion::Auto,
    }
}

fn redirects(args: &NetworkArgs) -> RedirectPolicy {
    RedirectPolicy { max: args.max_redirects, follow: !args.no_follow, downgrade: !args.no_downgrade }
}

fn certificates(path: &Path, option: &str) -> anyhow::Result<String> {
    let text = values::read_file(path, option)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text);
    }
    Err(usage(format!("{option} {}: no certificate in PEM form stands in it", path.display())))
}
