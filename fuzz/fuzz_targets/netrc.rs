//! Any text as a netrc file: read whole or refused by line; a user never gets another's password, and a host that
//! nobody chose nothing of what stands under `default`.

#![no_main]

use gannet_core::auth::Netrc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
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
