//! A solution of exercise 1.

use gannet::{Options, Session};

use crate::checks::ex01_session::Visit;
use crate::{Answer, Problem};

/// One session; everything else follows.
pub async fn visit(base: &str) -> Answer<Visit> {
    let mut options = Options { base_url: Some(base.to_owned()), ..Options::default() };
    options.headers.set("x-team", "gulls").map_err(|error| Problem::Other(error.to_string()))?;
    let session = Session::new(options)?;

    session.get("/cookies/set?token=abc").send().await?.error_for_status()?.bytes().await?;
    let headers = session.get("/headers").send().await?.error_for_status()?.text().await?;
    let cookies = session.get("/cookies").send().await?.error_for_status()?.text().await?;
    let mut items = Vec::new();
    for id in 1..=10 {
        items.push(session.get(format!("/items/{id}")).send().await?.error_for_status()?.text().await?);
    }
    session.close();
    Ok(Visit { headers, cookies, items, session })
}
