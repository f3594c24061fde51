//! Compressed files, in and out.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use gannet::bulk::sink::{Codec, RowReader};
use gannet_origin::Origin;
use serde_json::{Value, json};

use crate::gannet::{Place, gannet, rows, rows_in};

/// A compressed file of these parts, each a member of its own.
fn packed(place: &Place, name: &str, parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        Codec::of(Path::new(name)).encode(part.as_bytes(), &mut bytes).unwrap();
    }
    std::fs::write(place.path(name), bytes).unwrap();
    place.name(name)
}

/// What is in a compressed file, by the tool of its format where that is installed.
fn unpacked(path: &Path) -> Vec<Value> {
    let codec = Codec::of(path);
    let mut reader = RowReader::new(File::open(path).unwrap(), codec, 0);
    let (mut text, mut batch_rows) = (Vec::new(), Vec::new());
    while let Some(batch) = reader.next_batch(&mut batch_rows).unwrap() {
        assert!(batch.whole, "{} is torn", path.display());
        text.append(&mut batch_rows);
    }
    let tool = if codec == Codec::Gzip { "gzip" } else { "zstd" };
    if let Ok(output) = Command::new(tool).arg("-dc").arg(path).output() {
        assert!(output.status.success() && output.stdout == text, "{tool}: {output:?}");
    }
    let mut rows = rows(std::str::from_utf8(&text).unwrap());
    rows.sort_by_key(|row| row["index"].as_u64().unwrap());
    rows
}

#[test]
fn compressed_files_are_read_and_written_by_their_suffix() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let line = |number: usize| origin.url(&format!("/items/{number}")) + "\n";
    let texts: Vec<String> = [1..300, 300..501].map(|part| part.map(line).collect()).into();
    let request =
        |number: usize| json!({ "id": number, "url": origin.url(&format!("/items/{number}")) }).to_string() + "\n";
    let requests: String = (1..501).map(request).collect();
    let urls = packed(&place, "urls.txt.gz", &[&texts[0], &texts[1]]);
    let jsonl = packed(&place, "requests.jsonl.zst", &[&requests]);
    for (input, out) in [(&urls, "a.jsonl.gz"), (&urls, "a.jsonl.zst"), (&jsonl, "b.jsonl.gz"), (&jsonl, "b.jsonl.zst")]
    {
        gannet(["fetch", input, "-o", &place.name(out)]).assert_code(0);
        let rows = unpacked(&place.path(out));
        assert_eq!(rows.len(), 500, "{out}");
        for (index, row) in rows.iter().enumerate() {
            assert_eq!((&row["index"], &row["json"]["id"]), (&json!(index), &json!(index + 1)), "{out}");
        }
    }
    gannet(["fetch", &jsonl, "--first", "7", "-o", &place.name("few.jsonl")]).assert_code(0);
    assert_eq!(rows_in(&place.path("few.jsonl")).len(), 7);
}

#[test]
fn an_output_is_an_input_again() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (first, second) = (place.name("first.jsonl.zst"), place.name("second.jsonl.gz"));
    gannet(["fetch", &origin.url("/items/{1..20}"), "-o", &first]).assert_code(0);
    let template = origin.url("/items/{index}");
    gannet(["fetch", &first, "--url", &template, "--first", "20", "-o", &second]).assert_code(0);
    assert_eq!(unpacked(&place.path("second.jsonl.gz")).len(), 20);
}

#[test]
fn a_compressed_table_needs_its_columns_before_anything_is_sent() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let table = packed(&place, "ids.csv.gz", &["id,name\n", "1,a\n2,b\n"]);
    let ran = gannet(["fetch", &table, "--url", &origin.url("/items/{id}")]).assert_code(0);
    assert_eq!(ran.rows().len(), 2);
    gannet(["fetch", &table, "--url", &origin.url("/items/{nr}")])
        .assert_code(2)
        .assert_says("the columns are id, name");
    assert_eq!(origin.stats().requests, 2);
}

#[test]
fn a_damaged_input_is_named_and_what_stood_before_it_is_fetched() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    for name in ["urls.txt.gz", "urls.txt.zst"] {
        let path = packed(&place, name, &[&origin.url("/items/1\n"), &origin.url("/items/2\n")]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let ran = gannet(["fetch", &path]);
        let ran = ran.assert_code(1).assert_says(name).assert_says("data ends early, after");
        assert!(ran.rows().iter().any(|row| row["json"]["id"] == 1), "{}", ran.text());
    }
}

#[test]
fn an_output_without_rows_is_still_what_its_suffix_says() {
    let place = Place::new();
    let none = packed(&place, "none.txt.gz", &["# nothing\n"]);
    for name in ["out.gz", "out.zst"] {
        gannet(["fetch", &none, "-o", &place.name(name)]).assert_code(0);
        assert!(place.path(name).metadata().unwrap().len() > 0, "an empty file is refused by the tools");
        assert!(unpacked(&place.path(name)).is_empty());
    }
}

#[test]
fn what_to_do_next_unpacks_the_output_first() {
    let origin = Origin::start_blocking().unwrap();
    let place = Place::new();
    let (urls, out) = (packed(&place, "urls.txt.gz", &[&origin.url("/status/404\n")]), place.name("rows.jsonl.gz"));
    let ran = gannet(["fetch", &urls, "-o", &out]).assert_code(3);
    ran.assert_says(&format!("gzip -dc {out} | jq -c 'select(.ok|not)'"));
}
