//! What is remembered of protection spaces, of which origin, and for how long.

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
    let stale = answered(&mut spaces, "http://h/a", Scheme::Digest, &["Digest realm=r, nonce=m, qop=auth, stale=true"]);
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
    assert!(answer.value.contains("nonce=\"c\", ") && answer.value.contains("algorithm=SHA-256"), "{}", answer.value);
}

#[test]
fn the_closest_of_several_spaces_signs() {
    let mut spaces = Spaces::default();
    let of = |realm: &str, domain: &str| format!("Digest realm={realm}, nonce={realm}, qop=auth, domain=\"{domain}\"");
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
        answered(&mut spaces, "http://h0/", Scheme::Digest, &[&format!("Digest realm=r{number}, nonce=n")]).unwrap();
    }
    assert_eq!(spaces.origins["http://h0"].spaces.len(), MAX_PER_ORIGIN);
}
