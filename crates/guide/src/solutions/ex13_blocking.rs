//! A solution of exercise 13.

use gannet::Options;
use gannet::blocking::Session;
use gannet::bulk::BulkOptions;
use serde_json::Value;

use crate::Answer;

/// A blocking session and its `fetch_all`.
pub fn names(base: &str, ids: &[u32]) -> Answer<Vec<String>> {
    let session = Session::new(Options { base_url: Some(base.to_owned()), ..Options::default() })?;
    let urls = ids.iter().map(|id| format!("/users/{id}?delay=0.2"));
    let mut names = Vec::new();
    for outcome in session.fetch_all(urls, BulkOptions::default()) {
        let user: Value = outcome.into_result()?.json()?;
        names.push(user["name"].as_str().unwrap_or_default().to_owned());
    }
    Ok(names)
}
