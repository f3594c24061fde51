//! Any bytes as Content-Disposition: whatever a server calls its file, the name that is taken stays in its folder.

#![no_main]

use gannet_core::field::{ContentDisposition, safe_filename};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check_name(&String::from_utf8_lossy(data));
    let Some(disposition) = ContentDisposition::parse(data) else { return };
    assert_eq!(disposition.kind, disposition.kind.to_ascii_lowercase());
    assert!(disposition.parameters.iter().all(|(name, _)| !name.is_empty() && *name == name.to_ascii_lowercase()));
    if let Some(name) = disposition.filename() {
        check_name(&name);
    }
});

fn check_name(given: &str) {
    let Some(name) = safe_filename(given) else { return };
    assert!(!name.is_empty() && name.len() <= 250 && name != "." && name != "..");
    assert!(!name.starts_with('.') && !name.ends_with(['.', ' ']), "{name:?}");
    assert!(!name.contains(['/', '\\', ':', '\0']) && !name.chars().any(char::is_control), "{name:?}");
    assert_eq!(std::path::Path::new(&name).components().count(), 1);
    assert_eq!(safe_filename(&name).as_deref(), Some(&name[..]), "what is safe stays as it is");
}
