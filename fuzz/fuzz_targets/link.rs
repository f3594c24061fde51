//! Any bytes as Link fields, 0xff between them: links written anew are read as the same, and a field that is whole ends
//! where it ends, whatever the next one says.

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
        // The first rel alone, in lower case where it is no URI.
        let rel = link.parameters.iter().find(|(name, _)| name == "rel").map_or("", |(_, value)| value);
        let is_same =
            |(one, name): (&str, &String)| one == name || (!one.contains(':') && one.to_ascii_lowercase() == *name);
        assert!(rel.split_ascii_whitespace().zip(&link.relations).all(is_same), "{link:?}");
        assert_eq!(rel.split_ascii_whitespace().count(), link.relations.len());
        written += &as_text(link);
    }
    assert_eq!(parse_links([written.as_bytes()]), links);
    // One title with all that may not end it, and another link behind.
    let title = String::from_utf8_lossy(data);
    let made = Link {
        target: "/a;b,\"c?d=e".to_owned(),
        relations: vec!["next".to_owned()],
        parameters: vec![("title".to_owned(), title.clone().into_owned()), ("rel".to_owned(), "next".to_owned())],
    };
    let last = Link {
        target: "z".to_owned(),
        relations: vec!["last".to_owned()],
        parameters: vec![("rel".to_owned(), "last".to_owned())],
    };
    let text = format!("{} {}", as_text(&made), as_text(&last));
    assert_eq!(parse_links([text.as_bytes()]), [made, last]);
});

fn as_text(link: &Link) -> String {
    let mut text = format!("<{}>", link.target);
    for (name, value) in &link.parameters {
        text += &format!(";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text + ","
}
