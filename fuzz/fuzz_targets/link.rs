//! Any bytes as Link fields, 0xff between them: links written anew are read as the same.

#![no_main]

use gannet_core::field::{Link, parse_links};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let links = parse_links(data.split(|&byte| byte == 0xff));
    assert!(links.len() <= data.iter().filter(|&&byte| byte == b'<').count());
    let mut written = String::new();
    for link in &links {
        assert!(link.relations.iter().all(|name| !name.is_empty() && !name.contains([' ', '\t', '\n'])));
        assert!(link.parameters.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
        written += &as_text(link);
    }
    assert_eq!(parse_links([written.as_bytes()]), links);
});

fn as_text(link: &Link) -> String {
    let mut text = format!("<{}>", link.target);
    for (name, value) in &link.parameters {
        text += &format!(";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text + ","
}
