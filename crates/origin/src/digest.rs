//! `/digest-auth/...`: Digest access authentication as a server sees it (RFC 7616). It keeps what it
//! has given out, so that a nonce of somebody else's, one used too often and a count used twice are
//! found out. Its hashes come from aws-lc but for MD5: the client has others.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Algorithm, SHA256, SHA512_256, digest};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use md5::Digest as _;
use serde_json::json;

use crate::call::{Answer, Call, Refusal, Reply};
use crate::chance;

/// The nonces that were given out.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: u64,
    /// The counts seen of each.
    seen: HashMap<String, HashSet<u32>>,
}

/// What the path and query ask for.
struct Rules {
    qop: &'static str,
    user: String,
    password: String,
    hash: Hash,
    algorithm: String,
    session: bool,
    realm: String,
    /// How often a nonce may be used; none for ever.
    uses: Option<usize>,
    userhash: bool,
    domain: Option<String>,
}

#[derive(Clone, Copy)]
enum Hash {
    Md5,
    Other(&'static Algorithm),
}

/// 200 for the path's user and password, shown by Digest with this qop; else 401 and a challenge.
pub(crate) fn digest_auth(call: &Call) -> Answer {
    let rules = Rules::of(call)?;
    let field = call.head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = field.and_then(|field| field.strip_prefix("Digest ")).and_then(parameters);
    let nonces = &call.shared.nonces;
    let stale = match shown {
        None => false,
        Some(shown) if !rules.is_right(call, &shown) => false,
        Some(shown) => match nonces.take(&shown, rules.uses) {
            Ok(()) => return Ok(welcome(call, &rules, nonces)),
            Err(Spent) => true,
        },
    };
    let mut challenge = format!("Digest realm=\"{}\", nonce=\"{}\"", rules.realm, nonces.make());
    challenge += &format!(", opaque=\"0p@que\", algorithm={}", rules.algorithm);
    if !rules.qop.is_empty() {
        challenge += &format!(", qop=\"{}\"", rules.qop);
    }
    for (name, on) in [("userhash", rules.userhash), ("stale", stale)] {
        if on {
            challenge += &format!(", {name}=true");
        }
    }
    if let Some(domain) = &rules.domain {
        challenge += &format!(", domain=\"{domain}\"");
    }
    let mut reply =
        Reply::json(&json!({ "authenticated": false, "stale": stale })).with_status(StatusCode::UNAUTHORIZED);
    // What else a server may offer: schemes and algorithms that nobody knows, before and in the same field.
    if call.flag("more") {
        challenge = format!("Digest realm=\"x\", nonce=\"y\", algorithm=SHA-1024, {challenge}");
        reply = reply.with(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate, Basic realm=\"no, not this\""));
    }
    reply.with_text(WWW_AUTHENTICATE, &challenge)
}

fn welcome(call: &Call, rules: &Rules, nonces: &Nonces) -> Reply {
    let body = String::from_utf8_lossy(&call.body);
    let reply = Reply::json(&json!({ "authenticated": true, "user": rules.user, "data": body }));
    if !call.flag("next") {
        return reply;
    }
    match HeaderValue::from_str(&format!("nextnonce=\"{}\"", nonces.make())) {
        Ok(info) => reply.with(HeaderName::from_static("authentication-info"), info),
        Err(_) => reply,
    }
}

impl Rules {
    fn of(call: &Call) -> Result<Rules, Refusal> {
        let qop = match call.arg(0) {
            "auth" => "auth",
            "auth-int" => "auth-int",
            "both" | "auth,auth-int" => "auth,auth-int",
            "none" => "",
            other => return Err(Refusal::bad(format!("{other:?} is none of auth, auth-int, both and none"))),
        };
        let algorithm = if call.arg(3).is_empty() { "MD5" } else { call.arg(3) };
        let upper = algorithm.to_ascii_uppercase();
        let (base, session) = upper.strip_suffix("-SESS").map_or((&*upper, false), |base| (base, true));
        let hash = match base {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Other(&SHA256),
            "SHA-512-256" => Hash::Other(&SHA512_256),
            _ => {
                return Err(Refusal::bad(format!(
                    "{algorithm:?} is none of MD5, SHA-256 and SHA-512-256, -sess or not"
                )));
            }
        };
        Ok(Rules {
            qop,
            user: call.arg(1).to_owned(),
            password: call.arg(2).to_owned(),
            hash,
            algorithm: algorithm.to_owned(),
            session,
            realm: call.param("realm").unwrap_or("fake@realm".into()).into_owned(),
            uses: call.param("uses").map(|_| call.param_or("uses", 0)).transpose()?,
            userhash: call.flag("userhash"),
            domain: call.param("domain").map(std::borrow::Cow::into_owned),
        })
    }

    /// Whether the response is what these rules make of it; all but the nonce's age is looked at.
    fn is_right(&self, call: &Call, shown: &HashMap<String, String>) -> bool {
        let get = |name: &str| shown.get(name).map_or("", String::as_str);
        let hash = |text: &str| self.hash.hex(text.as_bytes());
        let user = match shown.get("username*") {
            Some(encoded) => encoded.strip_prefix("UTF-8''").map(decoded).unwrap_or_default(),
            None => get("username").to_owned(),
        };
        let named = if get("userhash") == "true" {
            self.userhash && user == hash(&format!("{}:{}", self.user, self.realm))
        } else {
            user == self.user
        };
        let qop = get("qop");
        let offered = if self.qop.is_empty() { qop.is_empty() } else { self.qop.split(',').any(|one| one == qop) };
        let same = get("realm") == self.realm
            && get("uri") == call.target()
            && get("opaque") == "0p@que"
            && get("algorithm").eq_ignore_ascii_case(&self.algorithm);
        let mut secret = hash(&format!("{}:{}:{}", self.user, self.realm, self.password));
        if self.session {
            secret = hash(&format!("{secret}:{}:{}", get("nonce"), get("cnonce")));
        }
        let asked = match qop {
            "auth-int" => hash(&format!("{}:{}:{}", call.head.method, get("uri"), self.hash.hex(&call.body))),
            _ => hash(&format!("{}:{}", call.head.method, get("uri"))),
        };
        let wanted = match qop {
            "" => hash(&format!("{secret}:{}:{asked}", get("nonce"))),
            qop => hash(&format!("{secret}:{}:{}:{}:{qop}:{asked}", get("nonce"), get("nc"), get("cnonce"))),
        };
        named && offered && same && get("response") == wanted
    }
}

impl Hash {
    fn hex(self, bytes: &[u8]) -> String {
        let sum: Vec<u8> = match self {
            Hash::Md5 => md5::Md5::digest(bytes).to_vec(),
            Hash::Other(algorithm) => digest(algorithm, bytes).as_ref().to_vec(),
        };
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The nonce is not one of ours, was used often enough, or its count was seen before.
struct Spent;

impl Nonces {
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    fn make(&self) -> String {
        let mut state = self.lock();
        if state.seen.len() >= MAX_NONCES {
            state.seen.clear();
        }
        state.made += 1;
        let nonce = format!("{:016x}/+{}==", chance::hash(&[&state.made.to_le_bytes()]), state.made);
        state.seen.insert(nonce.clone(), HashSet::new());
        nonce
    }

    fn take(&self, shown: &HashMap<String, String>, uses: Option<usize>) -> Result<(), Spent> {
        let mut state = self.lock();
        let seen = shown.get("nonce").and_then(|nonce| state.seen.get_mut(nonce)).ok_or(Spent)?;
        let count = match shown.get("nc") {
            // Eight digits, RFC 7616 §3.4.
            Some(count) if count.len() == 8 => u32::from_str_radix(count, 16).map_err(|_| Spent)?,
            Some(_) => return Err(Spent),
            None => u32::MAX - seen.len() as u32,
        };
        if uses.is_some_and(|most| seen.len() >= most) || seen.len() >= MAX_USES || !seen.insert(count) {
            return Err(Spent);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `name=value` and `name="value"`, parted by commas; none where it is anything else.
fn parameters(text: &str) -> Option<HashMap<String, String>> {
    let mut all = HashMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let value;
        if let Some(quoted) = behind.strip_prefix('"') {
            let mut text = String::new();
            let mut escaped = false;
            let end = quoted.char_indices().find(|&(_, letter)| {
                let is_end = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                if !is_end && !escaped {
                    text.push(letter);
                }
                is_end
            })?;
            rest = &quoted[end.0 + 1..];
            value = text;
        } else {
            let end = behind.find(',').unwrap_or(behind.len());
            value = behind[..end].trim().to_owned();
            rest = &behind[end..];
        }
        let twice = all.insert(name.trim().to_ascii_lowercase(), value).is_some();
        rest = rest.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
        if twice {
            return None;
        }
    }
    Some(all)
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .next()
        .map_or_else(String::new, |(key, _)| key.into())
}

/// As many as no test needs.
const MAX_NONCES: usize = 10_000;
const MAX_USES: usize = 100_000;
