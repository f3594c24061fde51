//! Digest access authentication (RFC 7616; without `qop` as RFC 2069 had it): which challenge can be answered, and
//! the value of the Authorization field that answers it. MD5 is here because servers ask for it; it protects the
//! password from who reads along, and nothing from a server that is not who it says it is.

use std::fmt::Write;

use md5::Md5;
use sha2::{Sha256, Sha512_256};

use super::{Asked, Challenge, Credentials};

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm as the server wrote it; what it left out is left out of the answer too.
    named: Option<String>,
    qop: Offered,
    stale: bool,
    userhash: bool,
    domain: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Algorithm {
    hash: Hash,
    /// The user's secret is bound to the first nonces (`-sess`).
    session: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

/// The qualities of protection a server offers; neither means that it named none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offered {
    auth: bool,
    auth_int: bool,
}

impl Digest {
    /// Reads a challenge; `None` for another scheme, an unknown algorithm or qop, or without realm or nonce.
    pub fn read(challenge: &Challenge<'_>) -> Option<Self> {
        if !challenge.is("digest") {
            return None;
        }
        let named = challenge.param("algorithm");
        let is_true = |name: &str| challenge.param(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let owned = |name: &str| challenge.param(name).map(str::to_owned);
        Some(Digest {
            realm: owned("realm")?,
            nonce: owned("nonce")?,
            opaque: owned("opaque"),
            algorithm: Algorithm::read(named.unwrap_or("MD5"))?,
            named: named.map(str::to_owned),
            qop: Offered::read(challenge.param("qop"))?,
            stale: is_true("stale"),
            userhash: is_true("userhash"),
            domain: owned("domain").unwrap_or_default(),
        })
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The server's nonce.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Whether the server says that only the nonce was too old, not the password wrong.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The URIs of the protection space as they came, parted by blanks; empty for the whole server.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Goes on with another nonce (`nextnonce` of Authentication-Info, RFC 7616 §3.5).
    pub(super) fn renew(&mut self, nonce: String) {
        self.nonce = nonce;
    }

    /// The value of the Authorization field, a secret: `count` is how often this nonce was used, this time
    /// included, `cnonce` what the client adds, never the same twice.
    ///
    /// `None` where only `auth-int` is offered and the body is not at hand. Both offered, it is `auth`: most servers
    /// that offer `auth-int` too have never been asked for it.
    pub fn answer(&self, asked: &Asked<'_>, who: &Credentials, count: u32, cnonce: &str) -> Option<String> {
        let hash = |parts: &[&[u8]]| self.algorithm.hash.hex(parts);
        let (user, realm, nonce) = (who.user.as_bytes(), self.realm.as_bytes(), self.nonce.as_bytes());
        let uri = target(asked);
        let qop = self.qop.choose();
        let mut secret = hash(&[user, b":", realm, b":", who.password.as_bytes()]);
        if self.algorithm.session {
            secret = hash(&[secret.as_bytes(), b":", nonce, b":", cnonce.as_bytes()]);
        }
        let request = match qop {
            Some("auth-int") => {
                let body = hash(&[asked.body?]);
                hash(&[asked.method.as_bytes(), b":", uri.as_bytes(), b":", body.as_bytes()])
            }
            _ => hash(&[asked.method.as_bytes(), b":", uri.as_bytes()]),
        };
        let counted = format!("{count:08x}");
        let response = match qop {
            Some(qop) => {
                let middle = format!(":{counted}:{cnonce}:{qop}:");
                hash(&[secret.as_bytes(), b":", nonce, middle.as_bytes(), request.as_bytes()])
            }
            None => hash(&[secret.as_bytes(), b":", nonce, b":", request.as_bytes()]),
        };
        let mut value = "Digest ".to_owned();
        if self.userhash {
            value += &format!("username=\"{}\", userhash=true", hash(&[user, b":", realm]));
        } else {
            put_user(&mut value, &who.user);
        }
        put_quoted(&mut value, "realm", &self.realm);
        put_quoted(&mut value, "nonce", &self.nonce);
        put_quoted(&mut value, "uri", &uri);
        if let Some(named) = &self.named {
            value += &format!(", algorithm={named}");
        }
        if let Some(qop) = qop {
            value += &format!(", qop={qop}, nc={counted}");
        }
        if qop.is_some() || self.algorithm.session {
            put_quoted(&mut value, "cnonce", cnonce);
        }
        value += &format!(", response=\"{response}\"");
        if let Some(opaque) = &self.opaque {
            put_quoted(&mut value, "opaque", opaque);
        }
        Some(value)
    }
}

impl Algorithm {
    fn read(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (base, session) = match lower.strip_suffix("-sess") {
            Some(base) => (base, true),
            None => (&*lower, false),
        };
        let hash = match base {
            "md5" => Hash::Md5,
            "sha-256" => Hash::Sha256,
            "sha-512-256" => Hash::Sha512_256,
            _ => return None,
        };
        Some(Algorithm { hash, session })
    }
}

impl Hash {
    fn hex(self, parts: &[&[u8]]) -> String {
        match self {
            Hash::Md5 => hex::<Md5>(parts),
            Hash::Sha256 => hex::<Sha256>(parts),
            Hash::Sha512_256 => hex::<Sha512_256>(parts),
        }
    }
}

fn hex<H: sha2::digest::Digest>(parts: &[&[u8]]) -> String {
    let mut hash = H::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Offered {
    /// `None` where something is offered, and all of it is unknown.
    fn read(list: Option<&str>) -> Option<Self> {
        let Some(list) = list else { return Some(Offered { auth: false, auth_int: false }) };
        let has = |name: &str| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(name));
        let offered = Offered { auth: has("auth"), auth_int: has("auth-int") };
        (offered.auth || offered.auth_int).then_some(offered)
    }

    fn choose(self) -> Option<&'static str> {
        match self {
            Offered { auth: true, .. } => Some("auth"),
            Offered { auth_int: true, .. } => Some("auth-int"),
            _ => None,
        }
    }
}

/// What stands in the request line.
fn target(asked: &Asked<'_>) -> String {
    match asked.url.query() {
        Some(query) => format!("{}?{query}", asked.url.path()),
        None => asked.url.path().to_owned(),
    }
}

/// A name outside ASCII cannot stand in quotes; `username*` takes it (RFC 7616 §3.4.4, RFC 8187).
fn put_user(value: &mut String, user: &str) {
    if user.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        *value += &format!("username=\"{}\"", escaped(user));
        return;
    }
    *value += "username*=UTF-8''";
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
}

fn put_quoted(value: &mut String, name: &str, text: &str) {
    let _ = write!(value, ", {name}=\"{}\"", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::{Scheme, challenges};
    use super::*;

    fn digest(field: &str) -> Option<Digest> {
        challenges([field.as_bytes()]).first().and_then(Digest::read)
    }

    fn answer(
        field: &str,
        method: &str,
        url: &str,
        who: (&str, &str),
        cnonce: &str,
        body: Option<&[u8]>,
    ) -> Option<String> {
        let url = Url::parse(url).unwrap();
        let who = Credentials::new(who.0, who.1, Scheme::Digest);
        digest(field).unwrap().answer(&Asked { method, url: &url, body }, &who, 1, cnonce)
    }

    /// RFC 7616 §3.9.1.
    const MUFASA: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=ALGORITHM, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    #[test]
    fn the_examples_of_the_rfc_come_out_to_the_letter() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let url = "http://www.example.org/dir/index.html";
            let field = MUFASA.replace("ALGORITHM", algorithm);
            let value = answer(&field, "GET", url, ("Mufasa", "Circle of Life"), CNONCE, None).unwrap();
            assert_eq!(
                value,
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
                     algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"{CNONCE}\", response=\"{response}\", \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
                )
            );
        }
    }

    #[test]
    fn the_oldest_form_has_neither_count_nor_client_nonce() {
        // The example of RFC 2069 §2.4, with the response that its erratum gives.
        let field = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let url = "http://www.nowhere.org/dir/index.html";
        let value = answer(field, "GET", url, ("Mufasa", "CircleOfLife"), "unused", None).unwrap();
        assert!(value.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{value}");
        assert!(!value.contains("nc=") && !value.contains("cnonce") && !value.contains("algorithm"), "{value}");
    }

    #[test]
    fn what_is_hashed_and_sent_is_the_target_with_its_query() {
        let field = "Digest realm=r, nonce=n, qop=auth";
        let value = answer(field, "GET", "http://h/a%20b?x=1&y=%22#frag", ("u", "p"), "c", None).unwrap();
        assert!(value.contains("uri=\"/a%20b?x=1&y=%22\""), "{value}");
    }

    #[test]
    fn only_a_body_at_hand_can_be_covered() {
        let only = "Digest realm=r, nonce=n, qop=\"auth-int\"";
        assert_eq!(answer(only, "POST", "http://h/", ("u", "p"), "c", None), None);
        let one = answer(only, "POST", "http://h/", ("u", "p"), "c", Some(b"one")).unwrap();
        let two = answer(only, "POST", "http://h/", ("u", "p"), "c", Some(b"two")).unwrap();
        assert!(one.contains("qop=auth-int") && one != two);
    }

    #[test]
    fn a_users_name_is_hashed_quoted_or_encoded_as_it_must_be() {
        let field = "Digest realm=r, nonce=n, qop=auth";
        let user = |field: &str, user: &str| answer(field, "GET", "http://h/", (user, "p"), "c", None).unwrap();
        assert!(user(field, "a\"b\\c").starts_with("Digest username=\"a\\\"b\\\\c\", "));
        // RFC 7616 §3.9.2.
        assert!(user(field, "Jäsøn Doe").starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, "));
        let hashed = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, nonce=n, userhash=true";
        // RFC 7616 §3.9.2 prints a truncated SHA-512 in its place (erratum 4897).
        let sha = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b";
        assert!(user(hashed, "Jäsøn Doe").starts_with(&format!("Digest username=\"{sha}\", userhash=true, ")));
        assert!(!user(field, "a\r\nx: y").contains(['\r', '\n']));
    }

    #[test]
    fn the_session_variants_bind_the_secret_to_the_nonces() {
        let with = |algorithm: &str, cnonce: &str| {
            let field = format!("Digest realm=r, nonce=n, algorithm={algorithm}");
            answer(&field, "GET", "http://h/", ("u", "p"), cnonce, None).unwrap()
        };
        let response = |value: &str| value.split("response=").nth(1).unwrap().to_owned();
        assert_ne!(response(&with("MD5-sess", "c1")), response(&with("MD5-sess", "c2")));
        assert_eq!(response(&with("MD5", "c1")), response(&with("MD5", "c2")));
        assert!(with("SHA-256-sess", "c1").contains("cnonce=\"c1\""));
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge_of_ours() {
        for field in [
            "Basic realm=r",
            "Digest nonce=n",
            "Digest realm=r",
            "Digest realm=r, nonce=n, algorithm=SHA-1024",
            "Digest realm=r, nonce=n, qop=\"token, auth-conf\"",
            "Digest realm=r, nonce=n, qop=\"\"",
        ] {
            assert_eq!(digest(field), None, "{field}");
        }
        for field in
            ["digest realm=\"\", nonce=\"\"", "DIGEST REALM=r, NONCE=n, ALGORITHM=sha-512-256-SESS, QOP=\"AUTH\""]
        {
            assert!(digest(field).is_some(), "{field}");
        }
        assert!(digest("Digest realm=r, nonce=n, stale=TRUE").unwrap().is_stale());
    }
}
