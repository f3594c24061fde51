//! Any text as a netrc file: read whole or refused by line; a user never gets another's password, and a host that
//! nobody chose nothing of what stands under `default`. The same text cut into names and passwords, 0xff or a tilde
//! between them, and written as a file with quotes gives each user the first password of that user there.

#![no_main]

use gannet_core::auth::Netrc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check_written(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let netrc = match Netrc::parse(text) {
        Ok(netrc) => netrc,
        Err(error) => {
            assert!((1..=text.split('\n').count()).contains(&error.line), "{error}");
            return;
        }
    };
    let lower = text.to_ascii_lowercase();
    for host in ["a.com", "A.com.", "b.com", "[::1]", ""] {
        let plain = host.trim_matches(['[', ']', '.']).to_ascii_lowercase();
        let named = netrc.find(host, None, true);
        // A name may be written with backslashes in quotes; without them it stands there as it is.
        assert!(named.is_none() || lower.contains(&plain) || text.contains('\\'), "{host}");
        let chosen = netrc.find(host, None, false);
        assert!(named.is_none() || chosen == named, "an entry comes before the default");
        for user in ["me", ""] {
            for named_only in [true, false] {
                assert!(netrc.find(host, Some(user), named_only).is_none_or(|login| login.user == user));
            }
        }
    }
});

/// Machine, user and password in turn.
fn check_written(data: &[u8]) {
    let words: Vec<String> =
        data.split(|byte| matches!(byte, 0xff | b'~')).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let entries: Vec<[&str; 3]> = words.as_chunks().0.iter().map(|[a, b, c]| [a.as_str(), b, c]).collect();
    let mut text = String::new();
    for [machine, user, password] in &entries {
        text += &format!("machine {} login {}\npassword {} # {{\n", quoted(machine), quoted(user), quoted(password));
    }
    let netrc = Netrc::parse(&text).expect("a file that is written well");
    let nobody = "x".repeat(data.len() + 1);
    for [machine, user, _] in &entries {
        // What may stand around a host in a URL is no part of its name.
        if machine.starts_with('[') || machine.ends_with([']', '.']) {
            continue;
        }
        // Case has no meaning in a host's name, and all of it in a user's.
        for user in [user.to_string(), user.to_uppercase()] {
            let is_same =
                |one: &&[&str; 3]| one[0].trim_end_matches('.').eq_ignore_ascii_case(machine) && one[1] == user;
            let first = entries.iter().find(is_same).map(|one| one[2]);
            assert_eq!(netrc.find(machine, Some(&user), true).map(|login| login.password), first, "{text}");
        }
        assert_eq!(netrc.find(machine, Some(&nobody), false).map(|login| login.password), None);
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
