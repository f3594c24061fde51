//! Exercise 4: telling errors apart by their kind.

use std::net::TcpListener;
use std::time::Duration;

use gannet::{Options, Session};

use super::origin;
use crate::report::{Answer, Problem, Report, wait};

/// What became of a request, in the words of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// A whole response with a status below 400.
    Fine,
    /// A status of 400 to 499.
    OurMistake,
    /// A status of 500 or above.
    TheirTrouble,
    /// This is no URL.
    BadUrl,
    /// No connection could be made.
    Unreachable,
    /// One of the timeouts.
    TooSlow,
    /// Anything else: a connection that broke, a body that is not whole.
    Broken,
}

/// Calls `diagnose` for one URL of each sort.
pub fn check(diagnose: &impl AsyncFn(&Session, &str) -> Answer<Diagnosis>) -> Report {
    use Diagnosis::{BadUrl, Broken, Fine, OurMistake, TheirTrouble, TooSlow, Unreachable};
    Report::of(|report| {
        let origin = origin()?;
        let mut options = Options::default();
        options.timeouts.read = Some(Duration::from_millis(400));
        let session = Session::new(options)?;
        for (what, url, expected) in [
            ("a page that is there", origin.url("/get"), Fine),
            ("404", origin.url("/status/404"), OurMistake),
            ("503", origin.url("/status/503"), TheirTrouble),
            ("no URL at all", "not a url".to_owned(), BadUrl),
            ("a port where nobody listens", nobody()?, Unreachable),
            ("a certificate that nobody vouches for", origin.https_url("/get"), Unreachable),
            ("a server that never answers", origin.url("/hang"), TooSlow),
            ("a body that stops half-way and stays silent", origin.url("/hang?after=head"), TooSlow),
            ("a connection that is reset", origin.url("/reset"), Broken),
            ("a body that is cut off", origin.url("/truncate"), Broken),
        ] {
            let got = wait(diagnose(&session, &url))?;
            let hint = format!("you say {got:?}, it is {expected:?}; was the body read, too?");
            report.check(what, got == expected, hint);
        }
        Ok(())
    })
}

/// The URL of a port that was just let go.
fn nobody() -> Answer<String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let addr = listener.map_err(|error| Problem::Other(error.to_string()))?;
    Ok(format!("http://{addr}/"))
}
