//! Exercise 3: what a response says of itself.

use gannet::Session;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// A response, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The URL that answered.
    pub final_url: String,
    /// How many redirects led there.
    pub hops: usize,
    /// The content type, if there is one.
    pub content_type: Option<String>,
    /// The body's text.
    pub text: String,
}

/// Calls `describe` for a page behind two redirects, one in Latin-1, and one that is not there.
pub fn check(describe: &impl AsyncFn(&Session, &str) -> Answer<Page>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let ask = |path: &str| wait(describe(&session, path));

        let page = ask("/redirect/2")?;
        report.check("the status", page.status == 200, format!("{} for a page that is there", page.status));
        let hint = format!("{}: the URL that answered is response.url()", page.final_url);
        report.check("the final URL", page.final_url == origin.url("/get"), hint);
        report.check("the redirects", page.hops == 2, format!("{} of 2: see response.history()", page.hops));
        let json = page.content_type.as_deref() == Some("application/json");
        report.check("the content type", json, format!("{:?}", page.content_type));
        report.check("the text", page.text.contains("/get"), "read it after the rest: text() takes the response");

        let page = ask("/encoding/latin1")?;
        let hint = "these bytes are not UTF-8: text() knows the charset from the content type";
        report.check("text in ISO 8859-1", page.text.contains("Français"), hint);

        let page = ask("/status/404")?;
        let told = page.status == 404 && page.hops == 0 && page.text.is_empty();
        report.check("a page that is not there is described too", told, format!("{page:?}"));
        Ok(())
    })
}
