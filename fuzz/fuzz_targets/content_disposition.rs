//! Any bytes as Content-Disposition: whatever a server calls its file, the name that is taken stays in its folder and is
//! one on every system; and any name, written as RFC 6266 and RFC 8187 have it, reads back.

#![no_main]

use gannet_core::field::{ContentDisposition, safe_filename};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    check_name(&text);
    check_written(&text);
    let Some(disposition) = ContentDisposition::parse(data) else { return };
    assert_eq!(disposition.kind, disposition.kind.to_ascii_lowercase());
    assert!(disposition.parameters.iter().all(|(name, _)| !name.is_empty() && *name == name.to_ascii_lowercase()));
    if let Some(name) = disposition.filename() {
        check_name(&name);
    }
});

fn check_written(name: &str) {
    let read = |value: String| ContentDisposition::parse(value.as_bytes()).and_then(|read| read.filename());
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    assert_eq!(
        read(format!("attachment; x=\"filename=y;\"; FileName = \"{quoted}\"; filename=z")).as_deref(),
        Some(name)
    );
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(read(format!("inline;filename=\"z\";filename*=utf-8'en'{encoded}")).as_deref(), Some(name));
}

fn check_name(given: &str) {
    let Some(name) = safe_filename(given) else { return };
    assert!(!name.is_empty() && name.len() <= 230 && name != "." && name != "..");
    assert!(!name.starts_with('.') && !name.ends_with(['.', ' ']), "{name:?}");
    assert!(!name.contains(['/', '\\', ':', '\0', '<', '>', '"', '|', '?', '*']), "{name:?}");
    let hides = |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!name.chars().any(hides) && !is_device(&name), "{name:?}");
    assert_eq!(std::path::Path::new(&name).components().count(), 1);
    assert_eq!(safe_filename(&name).as_deref(), Some(&name[..]), "what is safe stays as it is");
}

/// Whether Windows takes it for a device: by what stands before the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_numbered = |device: &str| {
        let mut number = stem.strip_prefix(device).unwrap_or_default().chars();
        number.next().is_some_and(|char| "0123456789¹²³".contains(char)) && number.next().is_none()
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&stem[..]) || is_numbered("COM") || is_numbered("LPT")
}
