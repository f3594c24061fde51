//! What is known of protection spaces: which challenge an origin made, for which of its paths, and how often its
//! nonce was used, so that the next request is signed without being asked first. A space never reaches beyond the
//! origin that declared it, whatever its `domain` says. Holds no passwords.

use std::collections::HashMap;

use url::Url;

use super::challenge::challenges;
use super::digest::Digest;
use super::{Asked, Credentials, Scheme};

/// The most origins remembered; the one used longest ago goes first.
pub const MAX_ORIGINS: usize = 1024;
/// The most spaces remembered of one origin.
pub const MAX_PER_ORIGIN: usize = 8;

/// The protection spaces of many origins.
#[derive(Debug, Default)]
pub struct Spaces {
    origins: HashMap<Box<str>, Origin>,
    tick: u64,
}

/// What to send to a space that is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The value of the Authorization field: a secret.
    pub value: String,
    /// Whom it is for.
    pub realm: Realm,
}

/// What to send after a challenge.
#[derive(Clone)]
pub struct Answer {
    /// The value of the Authorization field: a secret.
    pub value: String,
    /// The server says that the credentials were right and only their nonce too old.
    pub stale: bool,
    /// This realm has refused this user before ([`Spaces::on_refused`]), and taken nothing of theirs since.
    pub refused: bool,
    /// The space that asks. Its nonce is for this answer alone until [`Spaces::keep`]: a server that takes a nonce
    /// once only would refuse whichever of two comes later.
    pub space: Space,
}

#[derive(Debug, Default)]
struct Origin {
    spaces: Vec<Space>,
    used: u64,
}

/// A realm of an origin, by scheme and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    is_digest: bool,
    name: Box<str>,
}

/// A protection space as its challenge declared it.
#[derive(Clone, Debug)]
pub struct Space {
    realm: Realm,
    /// Beginnings of paths.
    reach: Vec<Box<str>>,
    proof: Proof,
    /// The user whose answer to the realm's own challenge was refused last.
    refused: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Proof {
    Basic,
    Digest { challenge: Box<Digest>, count: u32 },
}

impl Spaces {
    /// What to send with a request to a space that is known, or `None`: then it goes without, and is asked. Counts a
    /// use of the nonce; `cnonce` as for [`Digest::answer`].
    pub fn sign(&mut self, asked: &Asked<'_>, who: &Credentials, cnonce: &str) -> Option<Signed> {
        let space = self.closest(asked.url, who)?;
        Some(Signed { value: space.proof.show(asked, who, cnonce)?, realm: space.realm.clone() })
    }

    /// This realm of the URL's origin took an answer of this user.
    pub fn on_accepted(&mut self, url: &Url, who: &Credentials, realm: &Realm) {
        if let Some(space) = self.of_realm(url, realm).filter(|space| space.has_refused(who)) {
            space.refused = None;
        }
    }

    /// This realm of the URL's origin refused this user's answer to a challenge of its own, and not because of its
    /// nonce. Does nothing for a realm that is not kept.
    pub fn on_refused(&mut self, url: &Url, who: &Credentials, realm: &Realm) {
        if let Some(space) = self.of_realm(url, realm) {
            space.refused = Some((&*who.user).into());
        }
    }

    fn of_realm(&mut self, url: &Url, realm: &Realm) -> Option<&mut Space> {
        self.origins.get_mut(&*name_of(url))?.spaces.iter_mut().find(|space| space.realm == *realm)
    }

    /// The space that this URL lies in; of several the closest, and among equals the one declared last.
    fn closest(&mut self, url: &Url, who: &Credentials) -> Option<&mut Space> {
        self.tick += 1;
        let origin = self.origins.get_mut(&*name_of(url))?;
        origin.used = self.tick;
        let path = url.path();
        let reach =
            |space: &Space| space.reach.iter().filter(|start| path.starts_with(&***start)).map(|s| s.len()).max();
        let fits = origin.spaces.iter_mut().filter(|space| space.proof.suits(who.scheme));
        let space =
            fits.filter_map(|space| reach(space).map(|length| (length, space))).max_by_key(|(length, _)| *length);
        Some(space?.1)
    }

    /// Takes in the challenges of a 401 to this request, and answers the first that these credentials may and can
    /// answer; with [`Scheme::Any`] Basic only if no Digest can be. Remembers nothing: see [`Spaces::keep`]. `None`
    /// where there is nothing to answer.
    ///
    /// The caller bounds how often: a second challenge that is not [`Answer::stale`] means that the password is wrong.
    pub fn answer<'a>(
        &mut self,
        asked: &Asked<'_>,
        who: &Credentials,
        fields: impl IntoIterator<Item = &'a [u8]>,
        cnonce: &str,
    ) -> Option<Answer> {
        let offered = challenges(fields);
        let digests = offered.iter().filter_map(Digest::read).filter(|_| who.scheme != Scheme::Basic);
        let digest = digests.into_iter().find(|digest| digest.answer(asked, who, 1, cnonce).is_some());
        let basic = || offered.iter().find(|challenge| challenge.is("basic")).filter(|_| who.scheme == Scheme::Any);
        let mut space = match digest {
            Some(challenge) => Space::of_digest(asked.url, challenge),
            None => Space::of_basic(asked.url, basic()?.param("realm").unwrap_or_default()),
        };
        let value = space.proof.show(asked, who, cnonce)?;
        let stale = matches!(&space.proof, Proof::Digest { challenge, .. } if challenge.is_stale());
        let refused = self.of_realm(asked.url, &space.realm).is_some_and(|known| known.has_refused(who));
        Some(Answer { value, stale, refused, space })
    }

    /// Takes in an Authentication-Info field of a response to a request that was signed for this realm: the nonce to
    /// use next, if it names one.
    pub fn on_info(&mut self, url: &Url, realm: &Realm, field: &[u8]) {
        // Its parameters read like those of a challenge.
        let text = [b"Info ", field].concat();
        let Some(next) = challenges([&text[..]]).first().and_then(|info| info.param("nextnonce").map(str::to_owned))
        else {
            return;
        };
        if let Some(Space { proof: Proof::Digest { challenge, count }, .. }) = self.of_realm(url, realm) {
            challenge.renew(next);
            *count = 0;
        }
    }

    /// Signs beforehand what lies in this space from now on, in place of the one of the same realm at the URL's origin:
    /// called once its answer was taken, or will not be sent. Whom the realm has refused stays known.
    pub fn keep(&mut self, url: &Url, mut space: Space) {
        let name = name_of(url);
        if self.origins.len() >= MAX_ORIGINS && !self.origins.contains_key(&*name) {
            let eldest = self.origins.iter().min_by_key(|(_, origin)| origin.used).map(|(name, _)| name.clone());
            if let Some(eldest) = eldest {
                self.origins.remove(&eldest);
            }
        }
        let origin = self.origins.entry(name).or_default();
        origin.used = self.tick;
        if let Some(old) = origin.spaces.iter().position(|old| old.realm == space.realm) {
            space.follow(origin.spaces.remove(old));
        }
        if origin.spaces.len() == MAX_PER_ORIGIN {
            origin.spaces.remove(0);
        }
        origin.spaces.push(space);
    }
}

impl Space {
    fn of_digest(url: &Url, challenge: Digest) -> Self {
        Space {
            realm: Realm { is_digest: true, name: challenge.realm().into() },
            reach: reach(url, challenge.domain()),
            proof: Proof::Digest { challenge: Box::new(challenge), count: 0 },
            refused: None,
        }
    }

    fn of_basic(url: &Url, realm: &str) -> Self {
        Space {
            realm: Realm { is_digest: false, name: realm.into() },
            reach: vec![folder(url.path()).into()],
            proof: Proof::Basic,
            refused: None,
        }
    }

    /// The realm it belongs to.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    fn has_refused(&self, who: &Credentials) -> bool {
        self.refused.as_deref() == Some(&*who.user)
    }

    /// Takes over what the same realm's earlier challenge has taught.
    fn follow(&mut self, old: Space) {
        self.refused = old.refused;
        if let (Proof::Digest { challenge, count }, Proof::Digest { challenge: before, count: used }) =
            (&mut self.proof, &old.proof)
            && challenge.nonce() == before.nonce()
        {
            *count = (*count).max(*used);
        }
    }
}

impl Proof {
    fn suits(&self, scheme: Scheme) -> bool {
        match self {
            Proof::Basic => scheme == Scheme::Any,
            Proof::Digest { .. } => scheme != Scheme::Basic,
        }
    }

    fn show(&mut self, asked: &Asked<'_>, who: &Credentials, cnonce: &str) -> Option<String> {
        match self {
            Proof::Basic => Some(who.basic()),
            Proof::Digest { challenge, count } => {
                // After four thousand million uses the server has to give another nonce.
                *count = count.checked_add(1)?;
                challenge.answer(asked, who, *count, cnonce)
            }
        }
    }
}

/// Scheme, host and port.
fn name_of(url: &Url) -> Box<str> {
    url.origin().ascii_serialization().into()
}

/// The paths of `domain` (RFC 7616 §3.3) that lie on this origin; all of it where `domain` is empty.
fn reach(url: &Url, domain: &str) -> Vec<Box<str>> {
    if domain.trim().is_empty() {
        return vec!["/".into()];
    }
    let here = domain.split_ascii_whitespace().take(32).filter_map(|uri| url.join(uri).ok());
    here.filter(|uri| uri.origin() == url.origin()).map(|uri| uri.path().into()).collect()
}

/// The path up to its last slash (RFC 7617 §2.2).
fn folder(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn asked(url: &Url) -> Asked<'_> {
        Asked { method: "GET", url, body: None }
    }

    fn who(scheme: Scheme) -> Credentials {
        Credentials::new("me", "pw", scheme)
    }

    fn answered(spaces: &mut Spaces, at: &str, scheme: Scheme, fields: &[&str]) -> Option<Answer> {
        let at = url(at);
        let answer = spaces.answer(&asked(&at), &who(scheme), fields.iter().map(|field| field.as_bytes()), "c")?;
        spaces.keep(&at, answer.space.clone());
        Some(answer)
    }

    fn signed(spaces: &mut Spaces, at: &str, scheme: Scheme) -> Option<String> {
        spaces.sign(&asked(&url(at)), &who(scheme), "c").map(|signed| signed.value)
    }

    const DIGEST: &str = "Digest realm=r, nonce=n, qop=auth";

    #[test]
    fn a_space_that_is_known_is_signed_at_once_and_each_use_is_counted() {
        let mut spaces = Spaces::default();
        assert_eq!(signed(&mut spaces, "http://h/a", Scheme::Digest), None);
        let first = answered(&mut spaces, "http://h/a", Scheme::Digest, &[DIGEST]).unwrap();
        assert!(first.value.contains("nc=00000001") && !first.stale);
        for count in 2..=12 {
            let next = signed(&mut spaces, "http://h/b/c", Scheme::Digest).unwrap();
            assert!(next.contains(&format!("nc={count:08x},")), "{next}");
        }
        let stale =
            answered(&mut spaces, "http://h/a", Scheme::Digest, &["Digest realm=r, nonce=m, qop=auth, stale=true"]);
        assert!(stale.as_ref().is_some_and(|answer| answer.stale && answer.value.contains("nc=00000001")));
        let next = signed(&mut spaces, "http://h/", Scheme::Digest).unwrap();
        assert!(next.contains("nonce=\"m\"") && next.contains("nc=00000002"), "{next}");
    }

    #[test]
    fn who_was_refused_is_known_by_user_and_realm_until_one_is_taken() {
        let (mut spaces, at) = (Spaces::default(), url("http://h/a"));
        let (me, you) = (who(Scheme::Digest), Credentials::new("you", "pw", Scheme::Digest));
        let asks = |spaces: &mut Spaces, who: &Credentials, realm: &str| {
            let field = format!("Digest realm={realm}, nonce=n, qop=auth");
            let answer = spaces.answer(&asked(&at), who, [field.as_bytes()], "c").unwrap();
            spaces.keep(&at, answer.space.clone());
            (answer.refused, answer.space.realm().clone())
        };
        let (refused, r) = asks(&mut spaces, &me, "r");
        assert!(!refused, "asked for the first time");
        assert!(!asks(&mut spaces, &me, "r").0, "nothing was taken yet, and nothing refused");
        let (_, other) = asks(&mut spaces, &me, "other");
        spaces.on_refused(&at, &me, &r);
        for _ in 0..2 {
            assert!(asks(&mut spaces, &me, "r").0 && !asks(&mut spaces, &you, "r").0);
            assert!(!asks(&mut spaces, &me, "other").0);
        }
        spaces.on_accepted(&at, &you, &r);
        spaces.on_accepted(&at, &me, &other);
        assert!(asks(&mut spaces, &me, "r").0);
        spaces.on_accepted(&at, &me, &r);
        assert!(!asks(&mut spaces, &me, "r").0);
    }

    #[test]
    fn the_nonce_of_an_answer_under_way_is_for_nobody_else() {
        let (mut spaces, at) = (Spaces::default(), url("http://h/a"));
        let answer = spaces.answer(&asked(&at), &who(Scheme::Digest), [DIGEST.as_bytes()], "c").unwrap();
        assert_eq!(signed(&mut spaces, "http://h/a", Scheme::Digest), None);
        spaces.keep(&at, answer.space.clone());
        assert!(signed(&mut spaces, "http://h/a", Scheme::Digest).unwrap().contains("nc=00000002"));
        // Another request was given the same nonce: its count does not start anew.
        spaces.keep(&at, answer.space);
        assert!(signed(&mut spaces, "http://h/a", Scheme::Digest).unwrap().contains("nc=00000003"));
    }

    #[test]
    fn item_05_a_space_ends_at_its_origin_whatever_its_domain_says() {
        let mut spaces = Spaces::default();
        let field = format!("{DIGEST}, domain=\"/in https://other.test/ http://h:81/ http://h/abs ../up //h/net\"");
        answered(&mut spaces, "http://h/x/y", Scheme::Digest, &[&field]).unwrap();
        for (at, known) in [
            ("http://h/in", true),
            ("http://h/in/side", true),
            ("http://h/abs", true),
            ("http://h/up", true),
            ("http://h/net", true),
            ("http://h/x/y", false),
            ("http://h:81/", false),
            ("https://h/in", false),
            ("https://other.test/in", false),
        ] {
            assert_eq!(signed(&mut spaces, at, Scheme::Digest).is_some(), known, "{at}");
        }
    }

    #[test]
    fn nobody_gets_basic_who_was_to_get_digest() {
        let mut spaces = Spaces::default();
        for fields in [&["Basic realm=r"][..], &["Basic realm=r, Digest realm=r, nonce=n, algorithm=new"]] {
            assert!(answered(&mut spaces, "http://h/", Scheme::Digest, fields).is_none());
            let any = answered(&mut spaces, "http://h/", Scheme::Any, fields).unwrap();
            assert_eq!(any.value, "Basic bWU6cHc=");
            assert_eq!(signed(&mut spaces, "http://h/", Scheme::Digest), None);
        }
        let both = answered(&mut spaces, "http://h/", Scheme::Any, &["Basic realm=r", DIGEST]).unwrap();
        assert!(both.value.starts_with("Digest "));
        assert!(answered(&mut spaces, "http://h/", Scheme::Basic, &[DIGEST, "Basic realm=r"]).is_none());
        assert!(answered(&mut spaces, "http://h/", Scheme::Any, &[]).is_none());
    }

    #[test]
    fn basic_is_remembered_for_its_folder() {
        let mut spaces = Spaces::default();
        answered(&mut spaces, "http://h/a/b", Scheme::Any, &["Basic realm=r"]).unwrap();
        assert!(signed(&mut spaces, "http://h/a/c/d", Scheme::Any).is_some());
        assert_eq!(signed(&mut spaces, "http://h/", Scheme::Any), None);
    }

    #[test]
    fn the_first_challenge_that_can_be_answered_is() {
        let mut spaces = Spaces::default();
        let fields = [
            "Digest realm=r, nonce=a, algorithm=SHA-1024",
            "Digest realm=r, nonce=b, qop=auth-int, Digest realm=r, nonce=c, algorithm=SHA-256, qop=auth",
            "Digest realm=r, nonce=d",
        ];
        let answer = answered(&mut spaces, "http://h/", Scheme::Digest, &fields).unwrap();
        assert!(
            answer.value.contains("nonce=\"c\", ") && answer.value.contains("algorithm=SHA-256"),
            "{}",
            answer.value
        );
    }

    #[test]
    fn the_closest_of_several_spaces_signs() {
        let mut spaces = Spaces::default();
        let of =
            |realm: &str, domain: &str| format!("Digest realm={realm}, nonce={realm}, qop=auth, domain=\"{domain}\"");
        for (realm, domain) in [("deep", "/a/b"), ("wide", "/"), ("middle", "/a")] {
            answered(&mut spaces, "http://h/", Scheme::Digest, &[&of(realm, domain)]).unwrap();
        }
        for (at, realm) in [("http://h/a/b/c", "deep"), ("http://h/a", "middle"), ("http://h/z", "wide")] {
            assert!(signed(&mut spaces, at, Scheme::Digest).unwrap().contains(&format!("realm=\"{realm}\"")), "{at}");
        }
    }

    #[test]
    fn a_next_nonce_is_used_next_in_the_realm_that_told_it() {
        let mut spaces = Spaces::default();
        let realm = answered(&mut spaces, "http://h/", Scheme::Digest, &[DIGEST]).unwrap().space.realm().clone();
        let deep = "Digest realm=deep, nonce=d, qop=auth, domain=\"/deep\"";
        let deep = answered(&mut spaces, "http://h/deep", Scheme::Digest, &[deep]).unwrap().space.realm().clone();
        spaces.on_info(&url("http://h/"), &realm, b"qop=auth, rspauth=\"x\"");
        spaces.on_info(&url("http://other/"), &realm, b"nextnonce=\"evil\"");
        spaces.on_info(&url("http://h/deep"), &deep, b"nextnonce=\"deeper\"");
        assert!(signed(&mut spaces, "http://h/", Scheme::Digest).unwrap().contains("nonce=\"n\""));
        spaces.on_info(&url("http://h/"), &realm, b"nextnonce=\"next\", qop=auth");
        let value = signed(&mut spaces, "http://h/", Scheme::Digest).unwrap();
        assert!(value.contains("nonce=\"next\"") && value.contains("nc=00000001"), "{value}");
        assert!(signed(&mut spaces, "http://h/deep", Scheme::Digest).unwrap().contains("nonce=\"deeper\""));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut spaces = Spaces::default();
        for number in 0..MAX_ORIGINS + 5 {
            answered(&mut spaces, &format!("http://h{number}/"), Scheme::Digest, &[DIGEST]).unwrap();
            assert!(signed(&mut spaces, "http://h0/", Scheme::Digest).is_some(), "used just now, never the one to go");
        }
        assert_eq!(spaces.origins.len(), MAX_ORIGINS);
        for number in 0..50 {
            answered(&mut spaces, "http://h0/", Scheme::Digest, &[&format!("Digest realm=r{number}, nonce=n")])
                .unwrap();
        }
        assert_eq!(spaces.origins["http://h0"].spaces.len(), MAX_PER_ORIGIN);
    }
}
