//! What the command says of itself. The texts are in `help.txt`; set UPDATE_HELP=1 to write them anew.

use std::path::Path;

use crate::gannet::{Place, gannet};

#[test]
fn the_help_is_the_one_that_was_agreed() {
    let mut text = String::new();
    for command in [
        &["--help"][..],
        &["fetch", "--help"],
        &["status", "--help"],
        &["retry", "--help"],
        &["get", "--help"],
        &["demo", "--help"],
    ] {
        let ran = gannet(command).assert_code(0);
        text += &format!("$ gannet {}\n{}\n", command.join(" "), ran.text());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help.txt");
    if std::env::var_os("UPDATE_HELP").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let agreed = std::fs::read_to_string(&path).unwrap();
    assert!(text == agreed, "the help has changed; UPDATE_HELP=1 writes it anew:\n{text}");
}

#[test]
fn the_help_of_the_origin_lists_every_endpoint() {
    let ran = gannet(["origin", "--help"]).assert_code(0);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(ran.text());
    for (path, about) in gannet_origin::endpoints() {
        let fixed = path.split('{').next().unwrap();
        assert!(help.contains(fixed) && help.contains(&words(about)), "{path}");
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(gannet(["--version"]).assert_code(0).text(), concat!("gannet ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_and_man_pages_know_every_option_of_fetch() {
    let help = gannet(["fetch", "--help"]);
    let options: Vec<_> = help
        .text()
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 4)
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
        .collect();
    assert!(options.len() > 30, "{options:?}");
    let place = Place::new();
    gannet(["man", "--dir", &place.name("man")]).assert_code(0);
    let page = std::fs::read_to_string(place.path("man/gannet-fetch.1")).unwrap().replace('\\', "");
    for shell in ["bash", "fish", "zsh"] {
        let script = gannet(["completions", shell]).assert_code(0);
        for option in &options {
            let found = script.text().contains(option.trim_start_matches('-'));
            assert!(found && page.contains(option), "{shell}: {option}");
        }
    }
    assert!(gannet(["man"]).assert_code(0).text().contains("gannet"));
}
