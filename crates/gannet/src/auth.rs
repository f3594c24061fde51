//! Who a request is for its server: which credentials it may show at the URL of each hop, and what is sent after a
//! challenge. The answers themselves are made by [`gannet_core::auth`].
//!
//! Given credentials, be they the request's own, the URL's or the session's, are for the origin that the request
//! names, and gone for good once a redirect has led to another one. What a netrc file says is looked up anew for the
//! host of each hop. A request with an Authorization field of its own is left alone.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use gannet_core::auth::{Asked, Credentials, Netrc, Realm, Scheme, Space, Spaces};
use gannet_core::{ErrorKind, Headers, Phase};
use url::Url;

use crate::error::{Error, Result};
use crate::options::Auth;
use crate::request::Request;

/// One for a nonce too old, one for the right one: more answers to one request bring nothing.
const MAX_ANSWERS: u8 = 2;

/// What a session knows of credentials.
pub(crate) struct Keys {
    options: Auth,
    netrc: Option<Netrc>,
    /// The origin of the session's base URL: the only one its credentials are for.
    base: Option<Url>,
    /// Whether a request without credentials of its own may still have some.
    is_active: bool,
    /// Held for one answer, never across an await.
    spaces: Mutex<Spaces>,
}

impl Keys {
    /// # Errors
    /// Kind `request` for a netrc file that cannot be read.
    pub(crate) fn new(options: &Auth, base: Option<&Url>) -> Result<Self> {
        let netrc = options.read_netrc()?;
        let is_active = options.credentials.is_some() || netrc.is_some() || options.scheme != Scheme::Basic;
        Ok(Keys { options: options.clone(), netrc, base: base.cloned(), is_active, spaces: Mutex::default() })
    }

    fn spaces(&self) -> MutexGuard<'_, Spaces> {
        self.spaces.lock().expect("invariant: nothing panics under the lock of the protection spaces")
    }

    /// The session's own credentials, where they are for this URL's origin.
    fn credentials_for(&self, url: &Url) -> Option<&Credentials> {
        let is_here = self.base.as_ref().is_none_or(|base| gannet_core::redirect::same_origin(base, url));
        self.options.credentials.as_ref().filter(|_| is_here)
    }
}

/// The credentials of one request under way. Made only where there may be some.
pub(crate) struct Signing {
    /// The request's own, the URL's or the session's; none any more beyond their origin.
    given: Option<Credentials>,
    /// The user that the URL names without a password.
    user: Option<String>,
    /// What may be shown at this hop, and the field that shows it.
    who: Option<Credentials>,
    field: Option<String>,
    /// Where a field that is not Basic's own comes from.
    shown: Option<Shown>,
    /// How many challenges were answered at this hop.
    answers: u8,
    /// The field answers a challenge: it stands for the next sending.
    is_answer: bool,
    /// A redirect has led to another origin.
    is_away: bool,
    /// A hop went over TLS.
    was_secure: bool,
}

/// What the field under way was made from.
enum Shown {
    /// A space that was known.
    Beforehand(Realm),
    /// A challenge to this very request, whose nonce nobody else has.
    Asked(Box<Space>),
}

impl Signing {
    /// `None` for a request that shows nothing but what its own fields hold.
    pub(crate) fn of(keys: &Keys, request: &Request, defaults: &Headers) -> Option<Box<Self>> {
        let own = request.own.credentials.as_deref();
        if own.is_none() && !keys.is_active {
            return None;
        }
        // The session's Authorization field is more than its credentials, as the request's own is.
        let sessions = || keys.credentials_for(&request.url).filter(|_| !defaults.contains("authorization"));
        let given = own.or_else(sessions).cloned();
        Some(Box::new(Signing {
            given,
            user: None,
            who: None,
            field: None,
            shown: None,
            answers: 0,
            is_answer: false,
            is_away: false,
            was_secure: false,
        }))
    }

    /// Takes the URL's user and password, unless the request brought its own.
    pub(crate) fn on_userinfo(&mut self, keys: &Keys, request: &Request, user: String, password: Option<String>) {
        if request.own.credentials.is_some() {
            return;
        }
        match password {
            None if keys.netrc.is_some() => (self.given, self.user) = (None, Some(user)),
            password => {
                self.given = Some(Credentials::new(user, password.unwrap_or_default(), keys.options.scheme));
            }
        }
    }

    /// Decides what the next sending shows.
    pub(crate) fn before_hop(&mut self, keys: &Keys, request: &Request, defaults: &Headers) -> Result<()> {
        if std::mem::take(&mut self.is_answer) {
            return Ok(());
        }
        (self.who, self.field, self.shown) = (None, None, None);
        let is_secure = request.url.scheme() == "https";
        let is_downgraded = self.was_secure && !is_secure;
        self.was_secure |= is_secure;
        if request.headers.contains("authorization") {
            return Ok(());
        }
        self.who = match &self.given {
            Some(given) => Some(given.clone()),
            None if is_downgraded || defaults.contains("authorization") => None,
            None => self.look_up(keys, &request.url),
        };
        match &self.who {
            Some(who) if who.scheme == Scheme::Basic => self.field = Some(who.basic()),
            Some(who) => {
                let cnonce = cnonce()?;
                if let Some(signed) = keys.spaces().sign(&asked(request), who, &cnonce) {
                    (self.field, self.shown) = (Some(signed.value), Some(Shown::Beforehand(signed.realm)));
                }
            }
            None => {}
        }
        Ok(())
    }

    fn look_up(&self, keys: &Keys, url: &Url) -> Option<Credentials> {
        let host = url.host_str()?;
        let found = keys.netrc.as_ref().and_then(|netrc| netrc.find(host, self.user.as_deref(), self.is_away));
        let named = || self.user.as_deref().map(|user| Credentials::new(user, "", keys.options.scheme));
        found.map(|login| Credentials::new(login.user, login.password, keys.options.scheme)).or_else(named)
    }

    /// The value of the Authorization field for the next sending.
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Whether an Authorization field of the session's defaults has to give way.
    pub(crate) fn replaces_default(&self) -> bool {
        self.given.is_some()
    }

    /// A response came: whether to send the request once more, signed for its challenge.
    ///
    /// # Errors
    /// Kind `request`: it could be answered, but the body is gone.
    pub(crate) fn on_response(
        &mut self,
        keys: &Keys,
        request: &Request,
        status: u16,
        headers: &Headers,
    ) -> Result<bool> {
        let Some(who) = self.who.as_ref().filter(|who| who.scheme != Scheme::Basic) else { return Ok(false) };
        if status != 401 {
            if let Some(shown) = self.shown.take() {
                shown.on_accepted(&mut keys.spaces(), &request.url, who, headers);
            }
            return Ok(false);
        }
        if self.answers == MAX_ANSWERS {
            return Ok(false);
        }
        let (fields, cnonce) = (headers.get_all("www-authenticate"), cnonce()?);
        let mut spaces = keys.spaces();
        let Some(answer) = spaces.answer(&asked(request), who, fields, &cnonce) else { return Ok(false) };
        // RFC 7616 §3.3: asked again, and not because the nonce was old: the credentials are wrong. Of a nonce known
        // beforehand that is not said: a server that was started anew, or takes a nonce once, does not say `stale`.
        let is_wrong = match &self.shown {
            Some(Shown::Asked(_)) => true,
            Some(Shown::Beforehand(_)) => answer.refused,
            None => false,
        };
        if is_wrong && !answer.stale {
            spaces.keep(&request.url, answer.space);
            if let Some(Shown::Asked(space)) = self.shown.take() {
                spaces.on_refused(&request.url, who, space.realm());
            }
            return Ok(false);
        }
        if !request.body.is_replayable() && !request.body.is_unspent() {
            spaces.keep(&request.url, answer.space);
            return Err(Error::request(
                "the server asks who sends this, and the request's streamed body was sent already and cannot be sent \
                 again; use a body that can, or send a request without one to the same place first",
            ));
        }
        (self.field, self.is_answer) = (Some(answer.value), true);
        self.shown = Some(Shown::Asked(Box::new(answer.space)));
        self.answers += 1;
        Ok(true)
    }

    pub(crate) fn on_redirect(&mut self, cross_origin: bool) {
        self.answers = 0;
        if cross_origin {
            (self.given, self.user, self.is_away) = (None, None, true);
        }
    }
}

impl Shown {
    fn on_accepted(self, spaces: &mut Spaces, url: &Url, who: &Credentials, headers: &Headers) {
        let realm = match self {
            Shown::Beforehand(realm) => realm,
            Shown::Asked(space) => {
                let realm = space.realm().clone();
                spaces.keep(url, *space);
                realm
            }
        };
        spaces.on_accepted(url, who, &realm);
        if let Some(info) = headers.get_bytes("authentication-info") {
            spaces.on_info(url, &realm, info);
        }
    }
}

impl Auth {
    /// The netrc file that these options name, or `None` where they name none or the usual one is not there.
    ///
    /// # Errors
    /// Kind `request`: the file is named and not there, cannot be read, or holds what is no netrc; then with its line.
    pub fn read_netrc(&self) -> Result<Option<Netrc>> {
        let Some(path) = self.netrc_path() else { return Ok(None) };
        let bad = |why: String| Error::request(format!("netrc file {}: {why}", path.display()));
        match std::fs::read_to_string(&path) {
            Ok(text) => Netrc::parse(&text).map(Some).map_err(|error| bad(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.netrc.file.is_none() => Ok(None),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// Where that file is: as named, else by `NETRC`, else `.netrc` in the home directory; `None` where it is not
    /// asked for or there is no home.
    pub fn netrc_path(&self) -> Option<PathBuf> {
        if !self.netrc.enabled {
            return None;
        }
        let usual = || std::env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || std::env::home_dir().map(|home| home.join(".netrc"));
        self.netrc.file.clone().or_else(usual).or_else(home)
    }
}

fn asked(request: &Request) -> Asked<'_> {
    Asked { method: request.method.as_str(), url: &request.url, body: request.body.as_bytes() }
}

/// 128 bits that nobody guesses and that never come twice.
fn cnonce() -> Result<String> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Resources, Phase::Prepare, "this machine gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
