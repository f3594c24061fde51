use std::io::Write;

use super::*;

/// All bytes of a form, files read in, with the boundary replaced by `B`.
fn written(form: Form) -> String {
    let encoded = form.encode().unwrap();
    let boundary = encoded.content_type.split("boundary=").nth(1).unwrap().to_owned();
    let mut all = Vec::new();
    for segment in &encoded.segments {
        match segment {
            Segment::Bytes(bytes) => all.extend_from_slice(bytes),
            Segment::File { path, .. } => all.extend(std::fs::read(path).unwrap()),
        }
    }
    assert_eq!(encoded.length, Some(all.len() as u64));
    String::from_utf8(all).unwrap().replace(&boundary, "B")
}

#[test]
fn fields_and_files_are_written_in_their_order() {
    let mut file = tempfile::Builder::new().prefix("a").suffix(".bin").tempfile().unwrap();
    file.write_all(b"from disk").unwrap();
    let filename = file.path().file_name().unwrap().to_str().unwrap().to_owned();
    let form = Form::new()
        .text("name", "välue\r\nsecond line")
        .bytes("photo", "p.png", "image/png", &b"PNG"[..])
        .file("upload", file.path())
        .text("name", "again")
        .part("json", Part::text("{}").content_type("application/json").header("X-Part", "1"));
    assert_eq!(
        written(form),
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nvälue\r\nsecond line\r\n\
             --B\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"p.png\"\r\n\
             Content-Type: image/png\r\n\r\nPNG\r\n\
             --B\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"{filename}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nfrom disk\r\n\
             --B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nagain\r\n\
             --B\r\nContent-Disposition: form-data; name=\"json\"\r\n\
             Content-Type: application/json\r\nX-Part: 1\r\n\r\n{{}}\r\n\
             --B--\r\n"
        )
    );
    assert_eq!(written(Form::new()), "--B--\r\n");
}

#[test]
fn names_cannot_leave_their_quotes() {
    for (name, expected) in [
        ("a\"; filename=\"x", "a%22; filename=%22x"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"),
        ("a\n\rb", "a%0A%0Db"),
        ("ü 100% \\", "ü 100% \\"),
    ] {
        let head = "--B\r\nContent-Disposition: form-data; name=";
        assert_eq!(written(Form::new().text(name, "v")), format!("{head}\"{expected}\"\r\n\r\nv\r\n--B--\r\n"));
        let named = Form::new().part("n", Part::bytes("v").filename(name));
        assert_eq!(written(named), format!("{head}\"n\"; filename=\"{expected}\"\r\n\r\nv\r\n--B--\r\n"));
    }
}

#[test]
fn what_would_break_a_head_is_refused() {
    let part = || Part::text("v");
    for (case, form) in [
        ("name", Form::new().text("a\0b", "v")),
        ("filename", Form::new().part("n", part().filename("a\0b"))),
        ("type", Form::new().part("n", part().content_type("text/plain\r\nX-Evil: 1"))),
        ("value", Form::new().part("n", part().header("X-A", "1\n"))),
        ("value nul", Form::new().part("n", part().header("X-A", "1\0"))),
        ("header", Form::new().part("n", part().header("X-A: 1\r\nX-B", "1"))),
        ("disposition", Form::new().part("n", part().header("Content-disposition", "form-data"))),
        ("type twice", Form::new().part("n", part().content_type("a/b").header("content-type", "c/d"))),
        ("directory", Form::new().file("n", std::env::temp_dir())),
        ("missing", Form::new().file("n", "/there/is/no/such/file")),
    ] {
        assert!(form.encode().is_err(), "{case}");
    }
    let own_type = Form::new().part("n", part().header("content-type", "c/d"));
    assert!(written(own_type).contains("content-type: c/d\r\n"));
}

#[test]
fn the_boundary_follows_from_the_seed_and_differs_without() {
    assert_eq!(Form::with_seed(7).content_type(), Form::with_seed(7).content_type());
    assert_ne!(Form::with_seed(7).content_type(), Form::with_seed(8).content_type());
    assert_ne!(Form::new().content_type(), Form::new().content_type());
    let content_type = Form::with_seed(7).text("a", "b").encode().unwrap().content_type;
    assert_eq!(content_type, Form::with_seed(7).content_type());
    assert_eq!(content_type.len(), "multipart/form-data; boundary=gannet-".len() + 32);
}

#[test]
fn large_bytes_are_shared_and_small_ones_gathered() {
    let large = Bytes::from(vec![b'x'; SHARED_FROM]);
    let form = Form::new().text("a", "1").bytes("b", "b", "a/b", large.clone()).text("c", "3").text("d", "4");
    let encoded = form.encode().unwrap();
    assert_eq!(encoded.segments.len(), 3);
    assert!(matches!(&encoded.segments[1], Segment::Bytes(bytes) if bytes.as_ptr() == large.as_ptr()));
    assert!(encoded.replayable);
}

#[test]
fn a_file_without_a_size_makes_the_form_unmeasured_and_unrepeatable() {
    let form = Form::new().text("a", "1").file("null", "/dev/null");
    let encoded = form.encode().unwrap();
    assert_eq!((encoded.length, encoded.replayable), (None, false));
}

#[test]
fn debug_shows_no_content() {
    let form = Form::new().text("password", "hunter2");
    assert!(!format!("{form:?}").contains("hunter2"));
}

#[test]
fn parts_without_names_have_their_own_fields_and_can_be_nested() {
    let inner = Parts::with_seed("alternative", 2).part(Part::text("plain").content_type("text/plain"));
    let inner_type = inner.content_type();
    let inner_boundary = inner_type.split("boundary=").nth(1).unwrap().to_owned();
    let parts = Parts::with_seed("mixed", 1)
        .part(Part::nested(inner))
        .part(Part::bytes("PNG").content_type("image/png").filename("a\".png").header("Content-ID", "<1>"))
        .part(Part::text("bare").header("Content-Disposition", "inline"));
    let encoded = parts.clone().encode().unwrap();
    let boundary = encoded.content_type.strip_prefix("multipart/mixed; boundary=").unwrap().to_owned();
    let Segment::Bytes(bytes) = &encoded.segments[0] else { panic!("small parts are one segment") };
    assert_eq!((encoded.segments.len(), encoded.length), (1, Some(bytes.len() as u64)));
    let written = String::from_utf8(bytes.to_vec()).unwrap().replace(&boundary, "B").replace(&inner_boundary, "I");
    assert_eq!(
        written,
        "--B\r\nContent-Type: multipart/alternative; boundary=I\r\n\r\n\
         --I\r\nContent-Type: text/plain\r\n\r\nplain\r\n--I--\r\n\r\n\
         --B\r\nContent-Disposition: attachment; filename=\"a%22.png\"\r\nContent-Type: image/png\r\n\
         Content-ID: <1>\r\n\r\nPNG\r\n\
         --B\r\nContent-Disposition: inline\r\n\r\nbare\r\n\
         --B--\r\n"
    );
}

#[test]
fn a_part_without_a_name_has_each_of_its_own_fields_once() {
    for part in [
        Part::text("x").content_type("a/b").header("content-type", "c/d"),
        Part::nested(Parts::mixed()).header("Content-Type", "c/d"),
        Part::text("x").header("Content-Disposition", "inline").header("content-disposition", "attachment"),
    ] {
        let error = Parts::mixed().part(part).encode().unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}

#[test]
fn related_parts_tell_the_type_of_their_root() {
    let parts = Parts::with_seed("related", 1).part(Part::text("{}").content_type("application/json; a=\"b\""));
    assert!(parts.content_type().ends_with("; type=\"application/json\""), "{}", parts.content_type());
    assert!(!Parts::related().content_type().contains("type="));
    assert!(!Parts::mixed().part(Part::text("").content_type("a/b")).content_type().contains("type="));
}

#[test]
fn item_19_a_field_of_a_part_without_a_name_ends_not_its_line() {
    for part in [
        Part::text("").header("X", "a\r\nb: c"),
        Part::text("").header("X\r\n", "a"),
        Part::text("").content_type("a\r\nb: c"),
        Part::text("").filename("\0"),
        Part::nested(Parts::mixed().part(Part::text("").header("X", "\n"))),
    ] {
        assert!(Parts::mixed().part(part.clone()).encode().is_err(), "{part:?}");
    }
    let filename = Parts::mixed().part(Part::text("").filename("a\r\n\"b")).encode().unwrap();
    let Segment::Bytes(bytes) = &filename.segments[0] else { panic!("it is small") };
    assert!(String::from_utf8_lossy(bytes).contains("filename=\"a%0D%0A%22b\"\r\n"));
}
