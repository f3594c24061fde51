//! A response: status, headers, where it came from, and its body in five forms, each to be read once.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use gannet::{Options, RedirectPolicy, Session};
use gannet_origin::Origin;

#[derive(serde::Deserialize)]
struct Item {
    id: u64,
    name: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    // The head is here when `send` returns; the body is still on its way.
    let response = session.get("/redirect/2").send().await?;
    println!("{} {} from {}", response.status().as_u16(), response.reason(), response.url());
    for step in response.history() {
        println!("  by way of {} ({})", step.url, step.status.as_u16());
    }
    assert!(response.ok());
    assert_eq!(response.history().len(), 2);
    assert_eq!(response.headers().get("content-type"), Some("application/json"));
    // `json` takes the response: after it there is nothing left to read twice.
    let echo: serde_json::Value = response.json().await?;
    assert_eq!(echo["url"], origin.url("/get"));

    // JSON into a type of yours.
    let item: Item = session.get("/items/17").send().await?.error_for_status()?.json().await?;
    println!("{}: {}", item.id, item.name);
    assert_eq!(item.id, 17);

    // Text by the charset the server names: these bytes are ISO 8859-1.
    let response = session.get("/encoding/latin1").send().await?;
    println!("{:?}", response.headers().get("content-type"));
    let text = response.text().await?;
    assert!(text.contains("Français"));

    // Bytes piece by piece: a body of any size in a little memory.
    let mut response = session.get("/bytes/300000").send().await?.error_for_status()?;
    assert_eq!(response.content_length(), Some(300_000));
    let (mut pieces, mut length) = (0, 0);
    while let Some(piece) = response.chunk().await? {
        pieces += 1;
        length += piece.len();
    }
    println!("{length} bytes in {pieces} pieces");
    assert_eq!(length, 300_000);

    // Line by line, as a log or JSON Lines come.
    let mut lines = session.get("/stream/3").send().await?.error_for_status()?.lines();
    while let Some(line) = lines.next_line().await {
        assert!(line?.starts_with('{'));
    }

    // A 404 is a response like any other, its body may say why. A redirect too, when it is not followed.
    assert_eq!(session.get("/status/404").send().await?.status(), 404);
    let stay = RedirectPolicy { follow: false, ..RedirectPolicy::default() };
    let response = session.get("/redirect/1").redirects(stay).send().await?;
    println!("{} leads to {:?}", response.status(), response.headers().get("location"));
    assert_eq!(response.status(), 302);
    Ok(())
}
