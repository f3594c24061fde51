//! A solution of exercise 2.

use gannet::{Form, RequestBuilder, Session};
use serde_json::json;

use crate::Answer;

/// The four requests.
pub async fn send_all(session: &Session) -> Answer<[String; 4]> {
    let form = Form::new().text("title", "Gannet").bytes("photo", "dive.txt", "text/plain", "splash");
    Ok([
        text(session.get("/get").query([("q", "sea birds & co"), ("page", "2")])).await?,
        text(session.post("/post").json(&json!({"name": "Ada", "age": 36}))).await?,
        text(session.put("/put").form([("name", "Ada"), ("town", "St Kilda")])).await?,
        text(session.post("/post").multipart(form)).await?,
    ])
}

async fn text(request: RequestBuilder) -> gannet::Result<String> {
    request.send().await?.error_for_status()?.text().await
}
