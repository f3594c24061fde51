//! Any bytes as Content-Type: what is read, written anew, is read as the same.

#![no_main]

use gannet_core::field::MediaType;
use gannet_core::headers::is_token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(read) = MediaType::parse(data) else { return };
    let (kind, subtype) = read.essence.split_once('/').expect("a slash");
    assert!(is_token(kind.as_bytes()) && is_token(subtype.as_bytes()));
    assert_eq!(read.essence, read.essence.to_ascii_lowercase());
    assert!(read.charset().is_none_or(|charset| !charset.is_empty() && read.parameter("charset") == Some(charset)));
    assert!(!read.is_json() || read.essence.ends_with("json"));
    let mut written = read.essence.clone();
    for (name, value) in &read.parameters {
        assert!(!name.is_empty() && *name == name.to_ascii_lowercase());
        written += &format!("; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    assert_eq!(MediaType::parse(written.as_bytes()).as_ref(), Some(&read));
});
