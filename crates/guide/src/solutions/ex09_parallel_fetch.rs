//! A solution of exercise 9.

use std::collections::HashMap;

use gannet::Session;
use gannet::bulk::{BulkOptions, Fetched};
use serde_json::Value;

use crate::Answer;

/// One call, and a look at each row.
pub async fn prices(session: &Session, urls: Vec<String>) -> Answer<HashMap<String, Result<f64, String>>> {
    let fetched = session.fetch_map(urls, BulkOptions::default()).await;
    Ok(fetched.into_iter().map(|(url, result)| (url, price(result))).collect())
}

fn price(result: gannet::Result<Fetched>) -> Result<f64, String> {
    let item: Value = result.and_then(|fetched| fetched.json()).map_err(|error| error.to_string())?;
    item["price"].as_f64().ok_or_else(|| "there is no price".to_owned())
}
