//! Digest as the endpoint has it, asked with the examples of RFC 7616 §3.9 and with what is wrong.

use crate::client::{exchange, get, start};

/// The value of a parameter of the challenge.
fn param(challenge: &str, name: &str) -> String {
    let behind = challenge.split_once(&format!(" {name}=")).unwrap().1;
    behind.split(',').next().unwrap().trim_matches('"').to_owned()
}

#[tokio::test]
async fn the_challenge_says_what_the_path_asks_for() {
    let origin = start().await;
    let refused = get(&origin, "/digest-auth/both/me/pw/SHA-256?userhash=1&domain=/a").await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate").unwrap();
    for part in
        ["Digest realm=\"fake@realm\"", "algorithm=SHA-256", "qop=\"auth,auth-int\"", "userhash=true", "domain=\"/a\""]
    {
        assert!(challenge.contains(part), "{challenge}");
    }
    let other = get(&origin, "/digest-auth/none/me/pw").await;
    assert!(!other.header("www-authenticate").unwrap().contains("qop"));
    for nonsense in ["/digest-auth/auth-conf/me/pw", "/digest-auth/auth/me/pw/SHA-1"] {
        assert_eq!(get(&origin, nonsense).await.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn an_answer_counts_once_and_only_for_what_it_answers() {
    let origin = start().await;
    let target = "/digest-auth/auth/me/pw";
    let challenge = get(&origin, target).await.header("www-authenticate").unwrap().to_owned();
    let nonce = param(&challenge, "nonce");
    let hex = |text: String| {
        use md5::Digest;
        md5::Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let secret = hex("me:fake@realm:pw".to_owned());
    let signed = |nonce: &str, count: &str| {
        let asked = hex(format!("GET:{target}"));
        let response = hex(format!("{secret}:{nonce}:{count}:c:auth:{asked}"));
        format!(
            "GET {target} HTTP/1.1\r\nHost: t\r\nAuthorization: Digest username=\"me\", realm=\"fake@realm\", \
             nonce=\"{nonce}\", uri=\"{target}\", algorithm=MD5, qop=auth, nc={count}, cnonce=\"c\", \
             response=\"{response}\", opaque=\"0p@que\"\r\n\r\n"
        )
    };
    assert_eq!(exchange(&origin, signed(&nonce, "00000001")).await.status, 200);
    for (nonce, count, why) in [
        (&*nonce, "00000001", "a count used twice"),
        ("other", "00000001", "a nonce of somebody else's"),
        (&nonce, "2", "no count"),
    ] {
        let refused = exchange(&origin, signed(nonce, count)).await;
        assert_eq!(refused.status, 401, "{why}");
        assert!(refused.header("www-authenticate").unwrap().contains("stale=true"), "{why}");
    }
    assert_eq!(exchange(&origin, signed(&nonce, "00000002")).await.status, 200);
    for wrong in [
        signed(&nonce, "00000003").replace("username=\"me\"", "username=\"you\""),
        signed(&nonce, "00000003").replace("response=\"", "response=\"0"),
        signed(&nonce, "00000003").replace("opaque=\"0p@que\"", "opaque=\"\""),
        signed(&nonce, "00000003").replace(&format!("GET {target}"), &format!("GET {target}?x")),
    ] {
        let refused = exchange(&origin, wrong).await;
        assert_eq!(refused.status, 401);
        assert!(!refused.header("www-authenticate").unwrap().contains("stale"));
    }
}
