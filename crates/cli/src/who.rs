//! Who asks: credentials and cookies, from their options to the session and from the session to a file.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use gannet::cookie::Format;
use gannet::{AuthScheme, Credentials, Headers, Options, Session};

use crate::args::WhoArgs;
use crate::args::values::CookieArg;
use crate::exit::usage;
use crate::tell;

/// The fields that say who asks: `-b name=value`, `-u` unless the server has to ask first, `--oauth2-bearer`. An
/// Authorization that is there is the one that is sent; cookies go into one field with those that are there.
pub(crate) fn fields(headers: &mut Headers, args: &WhoArgs) -> anyhow::Result<()> {
    let cookies: Vec<&[u8]> = args.cookies.iter().filter_map(CookieArg::data).map(str::as_bytes).collect();
    if !cookies.is_empty() {
        let all = headers.get_all("cookie").chain(cookies).collect::<Vec<_>>().join(&b"; "[..]);
        headers.remove("cookie");
        headers.append_secret("cookie", all)?;
    }
    if headers.contains("authorization") {
        return Ok(());
    }
    if let Some((name, password)) = args.user.as_ref().filter(|_| scheme(args) == AuthScheme::Basic) {
        headers.append_secret("authorization", gannet::basic_auth(name, password))?;
    }
    if let Some(token) = &args.oauth2_bearer {
        let token = token.read("--oauth2-bearer")?;
        let added = headers.append_secret("authorization", format!("Bearer {}", token.trim()));
        added.map_err(|error| usage(format!("--oauth2-bearer: {error}")))?;
    }
    Ok(())
}

/// The session's own part of it.
///
/// # Errors
/// Usage: a netrc file or a place for cookies that cannot be used.
pub(crate) fn options(options: &mut Options, args: &WhoArgs) -> anyhow::Result<()> {
    options.cookies.enabled = !args.no_cookies;
    options.cookies.join = true;
    let auth = &mut options.auth;
    auth.scheme = scheme(args);
    if let Some((name, password)) = args.user.as_ref().filter(|_| auth.scheme != AuthScheme::Basic) {
        auth.credentials = Some(Credentials::new(name, password, auth.scheme));
    }
    auth.netrc.enabled = args.netrc || args.netrc_file.is_some();
    auth.netrc.file.clone_from(&args.netrc_file);
    auth.read_netrc().map_err(|error| usage(format!("--netrc: {}", error.message())))?;
    if let Some(path) = auth.netrc_path()
        && path.metadata().is_ok_and(|there| there.permissions().mode() & 0o077 != 0)
    {
        tell(&format!("warning: others on this machine can read {}: chmod 600 keeps it to you", path.display()));
    }
    let folder = args.cookie_jar.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(usage(format!("--cookie-jar: there is no folder {}", folder.display())));
    }
    Ok(())
}

/// Fills the jar from the files of `-b`. One that is to be written in the end need not be there yet.
///
/// # Errors
/// Usage: a file that cannot be read, or holds no cookies.
pub(crate) fn load(session: &Session, args: &WhoArgs) -> anyhow::Result<()> {
    for path in args.cookies.iter().filter_map(CookieArg::file) {
        if args.cookie_jar.as_deref() == Some(path) && !path.exists() {
            continue;
        }
        session.load_cookies(path).map_err(|error| {
            usage(format!("--cookie: {} (data is written name=value, a file's name holds no =)", error.message()))
        })?;
    }
    if args.junk_session_cookies {
        session.cookies().end_session();
    }
    Ok(())
}

/// Writes the jar to where `-c` says.
///
/// # Errors
/// It cannot be written; what was there is still there.
pub(crate) fn save(session: &Session, args: &WhoArgs) -> anyhow::Result<()> {
    let Some(path) = &args.cookie_jar else { return Ok(()) };
    if path == Path::new("-") {
        return io::stdout().write_all(session.cookies().write(Format::Netscape).as_bytes()).context("--cookie-jar");
    }
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let format = if is_json { Format::Json } else { Format::Netscape };
    session.save_cookies(path, format).map_err(|error| anyhow::anyhow!("--cookie-jar: {}", error.message()))
}

fn scheme(args: &WhoArgs) -> AuthScheme {
    match (args.basic, args.digest, args.anyauth) {
        (false, true, _) => AuthScheme::Digest,
        (false, false, true) => AuthScheme::Any,
        _ => AuthScheme::Basic,
    }
}
