//! Any names and fields of a part, 0xff between them: its head has exactly the lines that were meant, and the name
//! reads back.

#![no_main]

use gannet_core::Headers;
use gannet_core::multipart::write_part_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|&byte| byte == 0xff).map(String::from_utf8_lossy);
    let name = parts.next().unwrap_or_default();
    let filename = parts.next();
    let mut headers = Headers::new();
    for part in parts {
        let (field, value) = part.split_once('=').unwrap_or((&part, ""));
        let _ = headers.append(field, value);
    }
    let mut head = Vec::new();
    let written = write_part_head(&mut head, "b", &name, filename.as_deref(), &headers);
    let has_nul = name.contains('\0') || filename.as_ref().is_some_and(|name| name.contains('\0'));
    assert_eq!(written.is_err(), has_nul);
    if has_nul {
        return;
    }
    let text = String::from_utf8(head).expect("text in, text out");
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), headers.len() + 4, "{text:?}");
    assert_eq!((lines[0], &lines[headers.len() + 2..]), ("--b", &["", ""][..]));
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{text:?}");
    for (line, (field, value)) in lines[2..].iter().zip(headers.iter()) {
        assert_eq!(line.as_bytes(), [field.as_bytes(), b": ", value].concat());
    }
    let disposition = lines[1].strip_prefix("Content-Disposition: form-data; name=\"").expect("its place");
    let (read, rest) = disposition.split_once('"').expect("its end");
    assert_eq!(read, escaped(&name));
    match filename {
        Some(filename) => assert_eq!(rest, format!("; filename=\"{}\"", escaped(&filename))),
        None => assert_eq!(rest, ""),
    }
});

fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
