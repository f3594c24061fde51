//! What a run is known by: the options that were given, so that a run is resumed only as the same and a retry needs
//! no option twice. Each option stands in one of the lists below; what may be secret, and what is a URL, is kept as
//! a digest only.

use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use gannet::bulk::state::Setting;

use crate::args::values::read_file_bytes;
use crate::args::{FetchArgs, stdin};

/// They decide what is asked or how rows look: a run cannot go on with others.
const FIXED: &[&str] = &[
    "base-url",
    "body",
    "compress",
    "cookie",
    "data",
    "data-raw",
    "form",
    "format",
    "header",
    "headers",
    "input-format",
    "json",
    "junk-session-cookies",
    "max-body",
    "max-head",
    "max-ratio",
    "max-redirects",
    "method",
    "netrc",
    "netrc-file",
    "no-cookies",
    "no-decode",
    "no-downgrade",
    "no-follow",
    "ordered",
    "query",
    "referer",
    "spool",
    "url",
    "user",
    "user-agent",
];

/// Values that may be secret, or are URLs; the name of a file may be known.
const SECRET: &[&str] = &[
    "base-url",
    "cookie",
    "data",
    "data-raw",
    "form",
    "header",
    "json",
    "oauth2-bearer",
    "proxy",
    "proxy-header",
    "proxy-user",
    "query",
    "referer",
    "url",
    "user",
];

/// Of these, those whose value may be `@FILE`.
const FILES: &[&str] = &["data", "header", "json", "oauth2-bearer", "proxy-header"];

/// Files whose content is the setting.
const CONTENTS: &[&str] = &["data", "json"];

/// They may be others each time.
#[cfg(test)]
const FREE: &[&str] = &[
    // How one shows who one is, and where cookies go in the end, changes nothing of what is asked; a token ends.
    "anyauth",
    "basic",
    "cookie-jar",
    "digest",
    "oauth2-bearer",
    "allow-private",
    "backoff",
    "backoff-max",
    "batch",
    "cacert",
    "cacert-only",
    "cert",
    "concurrency",
    "connection-max-age",
    "deadline",
    "deny-private",
    "dns-lookups",
    "dns-servers",
    "dns-timeout",
    "durability",
    "expect100-timeout",
    "fail-fast",
    "first",
    "happy-eyeballs-timeout-ms",
    "hedge",
    "http1.1",
    "http2",
    "http2-ping-interval",
    "http2-ping-timeout",
    "http2-prior-knowledge",
    "insecure",
    "interface",
    "ipv4",
    "ipv6",
    "keepalive-time",
    "key",
    "learned",
    "memory",
    "no-adapt",
    "noproxy",
    "per-host",
    "pinnedpubkey",
    "proxy",
    "proxy-cacert",
    "proxy-cert",
    "proxy-header",
    "proxy-insecure",
    "proxy-key",
    "proxy-pinnedpubkey",
    "proxy-user",
    "rate",
    "resolve",
    "resolver",
    "retries",
    "retry-on",
    "retry-unsafe",
    "spread",
    "threads",
    "timeout",
    "timeout-connect",
    "timeout-read",
    "tls-server-name",
    "tlsv1.2",
    "tlsv1.3",
    "unix-socket",
];

/// They are of one run alone, and not kept.
const PASSING: &[&str] = &[
    "compressed",
    "force",
    "fresh",
    "location",
    "no-buffer",
    "output",
    "quiet",
    "resend-in-doubt",
    "show-error",
    "summary",
];

/// The options of `fetch` that were given.
///
/// # Errors
/// A file that an option names cannot be read.
pub(crate) fn settings(matches: &ArgMatches) -> anyhow::Result<Vec<Setting>> {
    let command = FetchArgs::augment_args(Command::new("fetch"));
    let mut settings = Vec::new();
    for arg in command.get_arguments() {
        let (Some(name), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
        let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
        if !is_given || PASSING.contains(&name) {
            continue;
        }
        let takes_value = arg.get_action().takes_values();
        let values: Vec<String> = match matches.get_raw(id).filter(|_| takes_value) {
            Some(raw) => raw.map(|value| value.to_string_lossy().into_owned()).collect(),
            None => Vec::new(),
        };
        settings.push(setting(name, values)?);
    }
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(settings)
}

fn setting(name: &str, values: Vec<String>) -> anyhow::Result<Setting> {
    let names_file = |value: &String| match name {
        // What holds an = is data.
        "cookie" => !value.contains('='),
        _ => FILES.contains(&name) && value.starts_with('@'),
    };
    let shown = !SECRET.contains(&name) || values.iter().all(names_file);
    let option = format!("--{name}");
    let mut contents = Vec::new();
    for file in values.iter().filter_map(|value| value.strip_prefix('@')).filter(|_| CONTENTS.contains(&name)) {
        match file {
            "-" => contents.push(stdin::read(&option)?.to_vec()),
            path if Path::new(path).is_file() => contents.push(read_file_bytes(path.as_ref(), &option)?),
            // What can be read once only is left to whoever sends it.
            _ => {}
        }
    }
    let setting = Setting::new(name, values, shown, FIXED.contains(&name));
    Ok(contents.iter().fold(setting, |setting, contents| setting.with_contents(contents)))
}

/// What stands among arguments of `fetch` that are not all yet.
#[derive(Debug, Default)]
pub(crate) struct Given {
    options: Vec<String>,
    /// Whether there are inputs.
    pub(crate) inputs: bool,
}

impl Given {
    /// Looks through the arguments that go with this output; there may be no input among them.
    ///
    /// # Errors
    /// They are not such arguments.
    pub(crate) fn of(output: &str, arguments: &[String]) -> Result<Given, clap::Error> {
        let command = FetchArgs::augment_args(Command::new("fetch").no_binary_name(true));
        let command = command.mut_arg("inputs", |inputs| inputs.required(false));
        let all = ["-o", output].into_iter().chain(arguments.iter().map(String::as_str));
        let matches = command.clone().try_get_matches_from(all)?;
        let is_given = |arg: &&Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        let mut given = Given::default();
        for arg in command.get_arguments().filter(is_given) {
            match arg.get_long() {
                Some(name) => given.options.push(name.to_owned()),
                None => given.inputs |= arg.is_positional(),
            }
        }
        Ok(given)
    }

    /// Whether the option of this name is there, by its long or its short form.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|given| given == name)
    }
}

/// The arguments of settings that are kept with their values and were not given now, in the form they were given.
pub(crate) fn arguments(settings: &[Setting], given: &Given) -> Vec<String> {
    let mut arguments = Vec::new();
    for Setting { name, values, .. } in settings {
        let Some(values) = values.as_ref().filter(|values| !given.has(name) && !are_of_stdin(name, values)) else {
            continue;
        };
        let long = format!("--{name}");
        if values.is_empty() {
            arguments.push(long);
        } else {
            arguments.extend(values.iter().map(|value| format!("{long}={value}")));
        }
    }
    arguments
}

/// The options whose values are not kept: who asks rows again has to give them.
pub(crate) fn withheld(settings: &[Setting]) -> Vec<String> {
    let is_kept =
        |setting: &Setting| setting.values.as_ref().is_some_and(|values| !are_of_stdin(&setting.name, values));
    settings.iter().filter(|setting| !is_kept(setting)).map(|setting| format!("--{}", setting.name)).collect()
}

/// Whether they were read where nothing stands any more.
fn are_of_stdin(name: &str, values: &[String]) -> bool {
    FILES.contains(&name) && values.iter().any(|value| value == "@-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    use crate::args::Cli;

    fn given(args: &[&str]) -> Vec<Setting> {
        let args = ["gannet", "fetch", "urls.txt"].iter().chain(args);
        let matches = Cli::command().try_get_matches_from(args).unwrap();
        settings(matches.subcommand().unwrap().1).unwrap()
    }

    #[test]
    fn every_option_of_fetch_has_its_place() {
        let command = FetchArgs::augment_args(Command::new("fetch"));
        let all: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
        for name in &all {
            let lists = [FIXED, FREE, PASSING].iter().filter(|list| list.contains(name)).count();
            assert_eq!(lists, 1, "--{name} belongs into one of the lists");
        }
        for name in FIXED.iter().chain(SECRET).chain(FREE).chain(PASSING).chain(CONTENTS) {
            assert!(all.contains(name), "--{name} is no option");
        }
    }

    #[test]
    fn settings_are_those_given_and_come_back_as_arguments() {
        let settings = given(&["--per-host", "5", "-H", "@token.txt", "--ordered", "-X", "PUT", "--quiet"]);
        let given = |rest: &[&str]| {
            Given::of("rows.jsonl", &rest.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let with = |rest: &[&str]| arguments(&settings, &given(rest));
        assert_eq!(with(&["--per-host=9"]), ["--header=@token.txt", "--method=PUT", "--ordered"]);
        assert_eq!(with(&["-XPUT", "--ordered"]), ["--header=@token.txt", "--per-host=5"]);
        assert_eq!(with(&["a.txt", "-H", "X: y", "-k", "--force"]), ["--method=PUT", "--ordered", "--per-host=5"]);
        assert!(given(&["-k", "a.txt"]).inputs && !given(&["-H", "X: y"]).inputs);
        assert!(withheld(&settings).is_empty());
    }

    #[test]
    fn no_secret_and_no_url_is_kept() {
        let settings = given(&[
            "-H",
            "X-Key: sesame",
            "--url",
            "http://sesame.test/{id}",
            "-u",
            "a:sesame",
            "--query",
            "k=sesame",
            "--cookie",
            "k=sesame",
        ]);
        assert!(!format!("{settings:?}").contains("sesame"));
        assert_eq!(withheld(&settings), ["--cookie", "--header", "--query", "--url", "--user"]);
        let token = given(&["--oauth2-bearer", "sesame"]);
        assert!(!format!("{token:?}").contains("sesame"));
        assert_eq!(withheld(&token), ["--oauth2-bearer"]);
        assert_eq!(withheld(&given(&["--header", "@-"])), ["--header"]);
        let settings = given(&["-b", "cookies.txt", "--oauth2-bearer", "@token"]);
        assert!(withheld(&settings).is_empty(), "{settings:?}");
    }
}
