//! Every method, every kind of body. `/anything` answers with what it was sent.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use gannet::{Body, Form, Options, Request, RequestBuilder, Session};
use gannet_origin::Origin;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let session = Session::new(Options { base_url: Some(origin.url("/")), ..Options::default() })?;

    // Query parameters are percent-encoded for you; a value may be anything that displays itself.
    let echo = ask(session.get("/get").query([("q", "sea birds & co")]).query([("page", 2)])).await?;
    assert_eq!(echo["args"], json!({"q": "sea birds & co", "page": "2"}));

    // JSON: any value that serde can write.
    let echo = ask(session.post("/post").json(&json!({"name": "Ada", "age": 36}))).await?;
    assert_eq!(echo["json"]["age"], 36);
    assert_eq!(echo["headers"]["Content-Type"], "application/json");

    // A form, as a web page sends it.
    let echo = ask(session.put("/put").form([("name", "Ada"), ("town", "St Kilda")])).await?;
    assert_eq!(echo["form"]["town"], "St Kilda");

    // A form with files. `Form::file` reads one from disk while it is sent.
    let form = Form::new().text("title", "Gannet").bytes("photo", "dive.txt", "text/plain", "splash");
    let echo = ask(session.post("/post").multipart(form)).await?;
    assert_eq!(echo["files"]["photo"], "splash");

    // Bytes as they are; the content type is yours to say.
    let echo = ask(session.patch("/patch").header("content-type", "text/csv").body("id,name\n1,Ada\n")).await?;
    assert_eq!(echo["data"], "id,name\n1,Ada\n");

    // A body that is made while it is sent, in chunks: it need never be whole in memory.
    let pieces = (0..1000).map(|n| Ok(format!("line {n}\n").into()));
    let body = Body::stream(futures_util::stream::iter(pieces), None);
    let echo = ask(session.post("/post").body(body)).await?;
    assert_eq!(echo["data"].as_str().map(|data| data.lines().count()), Some(1000));

    // Other methods, and those you name yourself.
    ask(session.delete("/delete").bearer_auth("secret")).await?;
    let echo = ask(session.request_named("PURGE", "/anything/cache")).await?;
    println!("{} {}", echo["method"], echo["url"]);
    let head = session.head("/get").send().await?.error_for_status()?;
    assert!(head.bytes().await?.is_empty());
    println!("OPTIONS says {}", session.options("/anything").send().await?.status());

    // Build now, send later: what is wrong with a request is told by `build` or `send`, once.
    let request: Request = session.get("/get").header("x-note", "later").build()?;
    session.execute(request).await?.error_for_status()?.bytes().await?;
    let bad = session.get("/get").header("x-note", "two\r\nlines").build().expect_err("a line break");
    println!("refused: {bad}");
    Ok(())
}

async fn ask(request: RequestBuilder) -> gannet::Result<Value> {
    request.send().await?.error_for_status()?.json().await
}
