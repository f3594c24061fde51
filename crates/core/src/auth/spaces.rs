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
mod tests;
