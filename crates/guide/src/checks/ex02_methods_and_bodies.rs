//! Exercise 2: the right method, the right body.

use gannet::Session;
use serde_json::{Value, json};

use super::{origin, session};
use crate::report::{Answer, Report, wait};

/// Calls `send_all` and looks at what the origin says it was sent.
pub fn check(send_all: &impl AsyncFn(&Session) -> Answer<[String; 4]>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let texts = wait(send_all(&session))?;
        let mut echoes = Vec::new();
        for text in &texts {
            echoes.push(serde_json::from_str::<Value>(text)?);
        }
        let (search, user, form, upload) = (&echoes[0], &echoes[1], &echoes[2], &echoes[3]);

        let args = &search["args"];
        let hint = format!("the origin read {args}: .query does the encoding, give it the plain text");
        report.check("GET with query parameters", *args == json!({"q": "sea birds & co", "page": "2"}), hint);

        let posted = user["method"] == "POST" && user["json"] == json!({"name": "Ada", "age": 36});
        report.check("POST with JSON", posted, format!("the origin read {} {}", user["method"], user["json"]));
        let named = user["headers"]["Content-Type"] == "application/json";
        report.check("and says that it is JSON", named, ".json adds the content type by itself");

        let put = form["method"] == "PUT" && form["form"] == json!({"name": "Ada", "town": "St Kilda"});
        report.check("PUT with a form", put, format!("the origin read {} {}", form["method"], form["form"]));

        let field = upload["form"]["title"] == "Gannet";
        report.check("multipart: the field", field, format!("the origin read {}", upload["form"]));
        let file = upload["files"]["photo"] == "splash";
        report.check("multipart: the file", file, format!("the origin read {}", upload["files"]));
        Ok(())
    })
}
