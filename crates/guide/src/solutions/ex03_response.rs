//! A solution of exercise 3.

use gannet::Session;

use crate::Answer;
use crate::checks::ex03_response::Page;

/// The head first; reading the body takes the response.
pub async fn describe(session: &Session, path: &str) -> Answer<Page> {
    let response = session.get(path).send().await?;
    Ok(Page {
        status: response.status().as_u16(),
        final_url: response.url().to_string(),
        hops: response.history().len(),
        content_type: response.headers().get("content-type").map(str::to_owned),
        text: response.text().await?,
    })
}
