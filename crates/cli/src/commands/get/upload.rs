//! What `get` sends: the request with its body, of whichever option it comes.

use std::io::stdin;
use std::path::Path;

use gannet::{Body, Form, Method, Part, Request, Session, Url};

use super::bar::Bar;
use crate::args::part::{PartArg, PartContent};
use crate::args::values::read_file;
use crate::args::{GetArgs, RequestArgs, UploadArgs};
use crate::exit::usage;
use crate::{settings, tell};

/// The request that was asked for; the bar shows its body's progress in both directions.
///
/// # Errors
/// Usage: a URL, method, header or body that cannot be sent.
pub(super) fn request(session: &Session, args: &GetArgs, bar: &Bar) -> anyhow::Result<Request> {
    let asked = &args.request;
    let (mut body, mut content_type) = body(asked)?;
    let mut target = url(&args.url, args.upload.upload_file.as_deref());
    if args.get {
        target = queried(target, body.take())?;
        content_type = None;
    }
    let upload = args.upload.upload_file.as_deref();
    let form = form(&args.upload)?;
    let method = match &asked.method {
        Some(method) => method.clone(),
        None if args.head => Method::HEAD,
        None if upload.is_some() => Method::PUT,
        None if body.is_some() || form.is_some() => Method::POST,
        None => Method::GET,
    };
    let mut headers = settings::headers(asked)?;
    let left_out = asked.leaves_out("content-type");
    if left_out && form.is_some() {
        return Err(usage("-H 'Content-Type:': that of -F says where the parts end, and is sent"));
    }
    if let Some(content_type) = content_type.filter(|_| !left_out && !headers.contains("content-type")) {
        headers.append("content-type", content_type)?;
    }
    if let Some(range) = args.range.as_ref().filter(|_| !headers.contains("range")) {
        headers.append("range", range)?;
        // A piece of what is coded cannot be undone by itself.
        if !headers.contains("accept-encoding") {
            headers.append("accept-encoding", "identity")?;
        }
    }
    let mut builder = session.request(method, target).headers(&headers).query(&asked.query);
    if let Some(body) = body {
        builder = builder.body(body);
    }
    if let Some(form) = form {
        builder = builder.multipart(form);
    }
    if let Some(path) = upload {
        builder = builder.body(file(path)?);
    }
    if let Some(coding) = asked.compress {
        builder = builder.compress(coding);
    }
    if let Some(wait) = asked.expect() {
        builder = builder.expect_continue(wait);
    }
    if let Some(show) = bar.of_upload() {
        builder = builder.on_upload(show);
    }
    // A file that is gone on with is shown whole, and not its last part alone.
    if let Some(show) = bar.of_download().filter(|_| !args.save.goes_on()) {
        builder = builder.on_download(show);
    }
    builder.build().map_err(|error| usage(error.to_string()))
}

/// The body and its content type.
fn body(args: &RequestArgs) -> anyhow::Result<(Option<Vec<u8>>, Option<&'static str>)> {
    if let Some(json) = &args.json {
        let text = json.read("--json")?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| usage(format!("--json: {error}")))?;
        return Ok((Some(text.into_bytes()), Some("application/json")));
    }
    if !args.form.is_empty() {
        for (name, _) in args.form.iter().filter(|(_, value)| value.starts_with(['@', '<'])) {
            tell(&format!(
                "note: --form {name}=… sends its text as it stands; the content of a file is -F {name}=@FILE"
            ));
        }
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&args.form).finish();
        return Ok((Some(form.into_bytes()), Some(settings::FORM)));
    }
    Ok((args.data()?, args.has_data().then_some(settings::FORM)))
}

/// A file behind a URL that ends with a slash is put there under its own name.
fn url(url: &str, upload: Option<&Path>) -> String {
    let name = upload.filter(|path| *path != Path::new("-")).and_then(Path::file_name);
    match (Url::parse(url), name) {
        (Ok(mut parsed), Some(name)) if parsed.path().ends_with('/') => {
            if let Ok(mut segments) = parsed.path_segments_mut() {
                segments.pop_if_empty().push(&name.to_string_lossy());
            }
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// The URL with this behind its query, for `-G`.
fn queried(url: String, data: Option<Vec<u8>>) -> anyhow::Result<String> {
    let Some(data) = data.filter(|data| !data.is_empty()) else { return Ok(url) };
    let data = String::from_utf8(data).map_err(|_| usage("-G: what goes into the query has to be text"))?;
    // What is no URL is told of where the request is made.
    let Ok(mut parsed) = Url::parse(&url) else { return Ok(url) };
    let query = match parsed.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{data}"),
        None => data,
    };
    parsed.set_query(Some(&query));
    Ok(parsed.into())
}

fn file(path: &Path) -> anyhow::Result<Body> {
    if path == Path::new("-") {
        return Ok(Body::reader(stdin(), None));
    }
    if path.is_dir() {
        return Err(usage(format!("-T: {} is a directory", path.display())));
    }
    Body::file(path).map_err(|error| usage(format!("-T: cannot read {}", error.message())))
}

fn form(args: &UploadArgs) -> anyhow::Result<Option<Form>> {
    if args.parts.is_empty() && args.form_string.is_empty() {
        return Ok(None);
    }
    let mut form = Form::new();
    for part in &args.parts {
        form = form.part(&part.name, made(part)?);
    }
    for (name, text) in &args.form_string {
        form = form.text(name, text);
    }
    Ok(Some(form))
}

fn made(arg: &PartArg) -> anyhow::Result<Part> {
    let mut part = match &arg.content {
        PartContent::Text(text) => Part::text(text),
        PartContent::TextOf(path) => Part::text(read_file(path, "-F")?),
        PartContent::File(path) => Part::file(path),
    };
    if let Some(media) = &arg.media {
        part = part.content_type(media);
    }
    if let Some(filename) = &arg.filename {
        part = part.filename(filename);
    }
    Ok(part)
}
