//! What the IETF's http-state suite and the test cases of the public suffix list ask of a cookie jar, asked of a
//! session by real requests to hosts of many names. Where RFC 6265bis differs from the suite of 2011 (a cookie without
//! name, an empty Domain), the RFC holds.

use gannet::{Session, Url};

use super::*;

/// A session whose every host is answered by the origin: it is the proxy, and asks nobody else.
fn everywhere(origin: &Origin) -> Session {
    session(|options| options.proxy.url = Some(origin.url("").parse().unwrap()))
}

fn at(host: &str, path: &str) -> Url {
    Url::parse(&format!("http://{host}{path}")).unwrap()
}

/// Lets `host` set these cookies.
async fn set(session: &Session, host: &str, lines: &[&str]) {
    let request = session.get(at(host, "/response-headers")).query(lines.iter().map(|line| ("set-cookie", *line)));
    assert_eq!(request.send().await.unwrap().status(), 200, "{lines:?}");
}

/// The Cookie field that a host gets; empty for none.
async fn got(session: &Session, host: &str, path: &str) -> String {
    let seen = json(session.get(at(host, path)).send().await).await;
    seen["headers"]["Cookie"].as_str().unwrap_or_default().to_owned()
}

const HOME: &str = "home.example.org";

/// Each row: what home.example.org sets, and what it gets at `/anything`.
async fn check(rows: &[(&[&str], &str)]) {
    let origin = origin().await;
    for (lines, expected) in rows {
        let session = everywhere(&origin);
        set(&session, HOME, lines).await;
        assert_eq!(&got(&session, HOME, "/anything").await, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn names_and_values_go_back_as_they_came() {
    check(&[
        (&["foo=bar"], "foo=bar"),
        (&["  foo \t=\t  bar\t "], "foo=bar"),
        (&["foo=bar; version=1; custom=\"1000 or more\"; $Path"], "foo=bar"),
        (&["foo=\"  bar \""], "foo=\"  bar \""),
        (&["foo=\"bar;baz\""], "foo=\"bar"),
        (&["foo=\"bar=baz\""], "foo=\"bar=baz\""),
        (&["A=== BC ;foo;;; bar"], "A=== BC"),
        (&["a=\"zzz \"   \"p\"  ;"], "a=\"zzz \"   \"p\""),
        (&["foo=bar, baz=qux"], "foo=bar, baz=qux"),
        (&["z=y; foo=bar, a=b"], "z=y"),
        (
            &["!a=1", "@b=2", "$c=3", "%d=4", "(e)=5", "+=6", "\"f=7", "g h=8"],
            "!a=1; @b=2; $c=3; %d=4; (e)=5; +=6; \"f=7; g h=8",
        ),
        (&["$Version=1; foo=bar"], "$Version=1"),
        (&["x="], "x="),
        (&["foo=春节·春运", "春=节"], "foo=春节·春运; 春=节"),
        // Without a name: its bare value, which must not read as another's name.
        (&["foo"], "foo"),
        (&["=foo"], "foo"),
        (&["six", "seven"], "seven"),
        (&["=a=b", "===a=b"], ""),
        (&["=", "; bar", "   "], ""),
    ])
    .await;
}

#[tokio::test]
async fn a_later_line_replaces_and_keeps_the_earlier_ones_place() {
    check(&[
        (&["a=1", "b=2", "a=3"], "a=3; b=2"),
        (&["z=y", "a=b"], "z=y; a=b"),
        (&["a=1; Path=/", "a=2; Path=/anything"], "a=2; a=1"),
        (&["a=1; Domain=home.example.org", "a=2; Domain=.home.example.org"], "a=2"),
        (&["a=1", "a=2; Domain=home.example.org"], "a=1; a=2"),
        (&["foo=bar; Max-Age=60", "foo1=bar; Max-Age=60", "foo=gone; Max-Age=0", "foo2=never; Max-Age=0"], "foo1=bar"),
    ])
    .await;
}

#[tokio::test]
async fn lifetimes_end_by_max_age_and_by_dates_of_every_kind() {
    check(&[
        (
            &["a=1; Max-Age=10000;", "b=2; max-age=0;", "c=3; MAX-AGE=-1", "d=4; max-age=50,399", "e=5; max-age="],
            "a=1; d=4; e=5",
        ),
        (&["a=1; Expires=Fri, 07 Aug 2007 08:04:19 GMT", "b=2; Expires=Fri, 07 Aug 2099 08:04:19 GMT"], "b=2"),
        (&["a=1; expires=Thu, 10-Apr-80 16:33:12 GMT"], ""),
        (&["a=1; expires=Thu Apr 10 16:33:12 1980"], ""),
        (&["a=1; expires=10 16:33:12 april 1980 whatever"], ""),
        (
            &["a=1; expires=Thu, 10-Apr-1980 16:33 GMT", "b=2; expires=1980", "c=3; expires=31 Feb 1980 00:00:00"],
            "a=1; b=2; c=3",
        ),
        (
            &[
                "a=1; Expires=Fri, 07 Aug 2099 08:04:19 GMT; Max-Age=0",
                "b=2; Max-Age=9; Expires=Fri, 07 Aug 2007 08:04:19 GMT",
            ],
            "b=2",
        ),
    ])
    .await;
}

#[tokio::test]
async fn item_26_secure_is_secure_in_every_spelling_and_nothing_else_is() {
    check(&[
        (
            &[
                "a=1; Secure",
                "b=2; seCURe",
                "c=3; Secure=",
                "d=4; Secure=no",
                "e=5; Secure =x",
                "f=6;    Secure   ;",
                "g=7; x; Secure",
            ],
            "",
        ),
        (&["a=1; \"Secure\"", "b=2; Secure qux", "c=3; Secured"], "a=1; b=2; c=3"),
        (&["__Secure-a=1", "__Host-b=2; Path=/", "__HOST-c=3; Secure; Path=/", "__secure-d=4; Secure"], ""),
    ])
    .await;
}

#[tokio::test]
async fn paths_match_where_they_end_at_a_slash() {
    let origin = origin().await;
    for (path, to, sent) in [
        ("/anything/foo", "/anything/foo", true),
        ("/anything/foo", "/anything/foo/bar", true),
        ("/anything/foo", "/anything/foobar", false),
        ("/anything/foo", "/anything/bar", false),
        ("/anything/foo/", "/anything/foo", false),
        ("/anything/foo/", "/anything/foo//bar", true),
        ("/anything/foo/qux", "/anything/foo", false),
        ("/anything/FOO", "/anything/foo", false),
        ("/anything/f%6Fo", "/anything/foo", false),
        ("/anything/foo?", "/anything/foo", false),
        ("/anything/foo#", "/anything/foo", false),
        ("\"/anything/foo\"", "/anything/foo", true),
        ("\t/anything\t", "/anything/foo", true),
        ("", "/anything/foo", true),
        ("relative", "/anything/foo", true),
        ("/else; Path=/", "/anything/foo", true),
        ("/; Path=/else", "/anything/foo", false),
        ("/else; Path=", "/anything/foo", true),
        ("; Path=/else", "/anything/foo", false),
    ] {
        let session = everywhere(&origin);
        set(&session, HOME, &[&format!("a=b; path={path}")]).await;
        assert_eq!(!got(&session, HOME, to).await.is_empty(), sent, "{path:?} {to}");
    }
    let session = everywhere(&origin);
    let lines = [
        "k=0;",
        "k=1; path=/anything",
        "k=2; path=/",
        "k=3; path=/bar",
        "k=4; domain=.example.org",
        "k=5; domain=.example.org; path=/anything/foo",
    ];
    set(&session, HOME, &lines).await;
    assert_eq!(got(&session, HOME, "/anything/foo/baz").await, "k=5; k=1; k=2; k=4");
}

#[tokio::test]
async fn domains_reach_downwards_and_never_aside() {
    let origin = origin().await;
    for (attributes, to, sent) in [
        ("", HOME, true),
        ("", "sub.home.example.org", false),
        ("domain=", HOME, true),
        ("domain=", "sub.home.example.org", false),
        ("domain=home.example.org", HOME, true),
        ("domain=home.example.org", "hoMe.eXaMplE.org", true),
        ("domain=home.eXaMpLe.org", HOME, true),
        ("domain=home.example.org", "sub.home.example.org", true),
        ("domain=.home.example.org", "sub.home.example.org", true),
        ("domain=  .home.example.org", HOME, true),
        ("domain=.home.example.org", "sibling.example.org", false),
        ("domain=.example.org", HOME, true),
        ("domain=example.org", "sibling.example.org", true),
        ("domain=example.org; domain=home.example.org", "sibling.example.org", false),
        ("domain=home.example.org; domain=.example.org", "sibling.example.org", true),
        ("domain=sub.home.example.org", "sub.home.example.org", false),
        ("domain=sibling.example.org", "sibling.example.org", false),
        ("domain=home.example.com; domain=home.example.org", HOME, true),
        ("domain=home.example.org; domain=home.example.com", HOME, false),
        ("domain=sibling.example.org; domain=", HOME, true),
        ("domain=..home.example.org", HOME, false),
        ("domain=home..example.org", HOME, false),
        ("domain=.  home.example.org", HOME, false),
        ("domain=home.example.org.", HOME, false),
        ("domain=home.example.org..", HOME, false),
        ("domain=home.example.org .", HOME, false),
        ("domain=\"home.example.org\"", HOME, false),
        ("domain=home.example.org:8888", HOME, false),
        ("domain=.org", HOME, false),
        ("domain=org.", HOME, false),
        ("domain=.", HOME, true),
        ("domain=.", "sub.home.example.org", false),
    ] {
        let session = everywhere(&origin);
        set(&session, HOME, &[&format!("foo=bar; {attributes}")]).await;
        assert_eq!(!got(&session, to, "/anything").await.is_empty(), sent, "{attributes:?} {to}");
    }
}

/// The cases of the public suffix list: a name, and the registrable domain it belongs to, or none where it is a suffix
/// itself.
const NAMES: &[(&str, Option<&str>)] = &[
    ("COM", None),
    ("example.COM", Some("example.com")),
    ("WwW.example.COM", Some("example.com")),
    ("example", None),
    ("example.example", Some("example.example")),
    ("b.a.example.example", Some("example.example")),
    ("biz", None),
    ("a.b.domain.biz", Some("domain.biz")),
    ("uk.com", None),
    ("a.b.example.uk.com", Some("example.uk.com")),
    ("mm", None),
    ("c.mm", None),
    ("a.b.c.mm", Some("b.c.mm")),
    ("ac.jp", None),
    ("test.ac.jp", Some("test.ac.jp")),
    ("ide.kyoto.jp", None),
    ("a.b.ide.kyoto.jp", Some("b.ide.kyoto.jp")),
    ("c.kobe.jp", None),
    ("a.b.c.kobe.jp", Some("b.c.kobe.jp")),
    ("www.city.kobe.jp", Some("city.kobe.jp")),
    ("ck", None),
    ("test.ck", None),
    ("a.b.test.ck", Some("b.test.ck")),
    ("www.www.ck", Some("www.ck")),
    ("k12.ak.us", None),
    ("www.test.k12.ak.us", Some("test.k12.ak.us")),
    ("公司.cn", None),
    ("www.食狮.公司.cn", Some("食狮.公司.cn")),
    ("shishi.公司.cn", Some("shishi.公司.cn")),
    ("xn--55qx5d.cn", None),
    ("www.xn--85x722f.xn--55qx5d.cn", Some("xn--85x722f.xn--55qx5d.cn")),
    ("中国", None),
    ("www.食狮.中国", Some("食狮.中国")),
    ("github.io", None),
    ("a.me.github.io", Some("me.github.io")),
];

/// As a server has to write a domain.
fn ascii(name: &str) -> String {
    Url::parse(&format!("http://{name}/")).unwrap().host_str().unwrap().to_owned()
}

#[tokio::test]
async fn item_24_a_cookie_reaches_the_whole_of_a_registrable_domain_and_no_further() {
    let origin = origin().await;
    for (name, registrable) in NAMES {
        let suffix = match registrable {
            None => ascii(name),
            Some(domain) => {
                let session = everywhere(&origin);
                set(&session, name, &[&format!("k=v; Domain={}", ascii(domain))]).await;
                let sibling = format!("other.{domain}");
                assert_eq!(got(&session, &sibling, "/anything").await, "k=v", "{name}: {domain}");
                ascii(domain).split_once('.').unwrap().1.to_owned()
            }
        };
        // From below it nobody sets a cookie for all who share it, however it is written.
        let from = if registrable.is_some() { (*name).to_owned() } else { format!("a.b.{name}") };
        for domain in [suffix.clone(), format!(".{}", suffix.to_uppercase()), format!("{suffix}.")] {
            let session = everywhere(&origin);
            set(&session, &from, &[&format!("k=v; Domain={domain}")]).await;
            assert!(session.cookies().is_empty(), "{from} sets for {domain}");
        }
        // The suffix itself may keep one of its own.
        if registrable.is_some() {
            continue;
        }
        let session = everywhere(&origin);
        set(&session, &suffix, &[&format!("k=v; Domain={suffix}")]).await;
        assert_eq!(got(&session, &suffix, "/anything").await, "k=v", "{suffix}");
        assert_eq!(got(&session, &format!("x.{suffix}"), "/anything").await, "", "{suffix}");
    }
}
