//! What the chapters say is there: every excerpt stands in its example, every link leads somewhere, every option
//! of the command exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gannet_guide::LESSON;

/// A chapter and its example.
struct Chapter {
    name: String,
    text: String,
    example: String,
}

#[test]
fn there_is_a_chapter_and_an_example_for_every_exercise() {
    let names: Vec<String> = chapters().iter().map(|chapter| chapter.name.clone()).collect();
    let wanted: Vec<String> = LESSON.iter().map(|exercise| exercise.file[2..].to_owned()).collect();
    assert_eq!(names, wanted);
}

#[test]
fn every_chapter_names_its_example_its_exercise_and_both_doors() {
    for Chapter { name, text, .. } in chapters() {
        for needed in [
            format!("cargo run -p gannet --example {name}"),
            format!("(../../crates/gannet/examples/{name}.rs)"),
            format!("(../../crates/guide/src/exercises/ex{name}.rs)"),
            format!("(../../crates/guide/src/solutions/ex{name}.rs)"),
            format!("cargo run -p gannet-guide --bin check -- {}", &name[..2]),
            "If you know aiohttp".to_owned(),
            "```sh\ngannet ".to_owned(),
        ] {
            assert!(text.contains(&needed), "{name}: {needed:?} is missing");
        }
    }
}

#[test]
fn every_excerpt_stands_in_the_example() {
    for Chapter { name, text, example } in chapters() {
        let blocks = blocks(&text, "rust");
        assert!(!blocks.is_empty(), "{name} shows no code");
        let example = without_indentation(&example);
        // A line `// …` stands for what is left out.
        for piece in blocks.iter().flat_map(|block| block.split("// …\n")) {
            let piece = without_indentation(piece);
            assert!(example.contains(piece.trim()), "{name}: this is not in the example:\n{piece}");
        }
    }
}

#[test]
fn every_rust_block_is_an_excerpt_or_marked_as_wrong() {
    for Chapter { name, text, .. } in chapters() {
        let kinds = text.lines().filter_map(|line| line.strip_prefix("```")).filter(|kind| !kind.is_empty());
        for kind in kinds {
            let known = ["rust", "rust,wrong", "sh", "text", "python", "json"].contains(&kind);
            assert!(known, "{name}: a block of {kind:?} is checked by nobody");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let guide = root().join("docs/guide");
    let mut texts: Vec<(String, String)> = chapters().into_iter().map(|c| (c.name, c.text)).collect();
    texts.push(("README".to_owned(), read(&guide.join("README.md"))));
    for (name, text) in texts {
        let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!links.is_empty(), "{name} has no links");
        for link in links.into_iter().filter(|link| !link.contains("://")) {
            let path = link.split('#').next().unwrap();
            assert!(path.is_empty() || guide.join(path).exists(), "{name}: {link} leads nowhere");
        }
    }
}

#[test]
fn every_option_of_the_command_exists() {
    let known = options_of_the_command();
    for Chapter { name, text, .. } in chapters() {
        for block in blocks(&text, "sh") {
            for line in block.lines().filter(|line| line.starts_with("gannet ")) {
                let used = line.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
                for option in used {
                    assert!(known.contains(option), "{name}: gannet has no {option}: {line}");
                }
            }
        }
    }
}

#[test]
fn no_two_runs_write_to_the_same_file() {
    // What `gannet origin` proposes to run when it starts.
    let mut seen = BTreeSet::from(["items.jsonl", "flaky.jsonl"].map(str::to_owned));
    for Chapter { name, text, .. } in chapters() {
        for line in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
            let Some((_, rest)) = line.split_once(" -o ").filter(|_| line.starts_with("gannet fetch ")) else {
                continue;
            };
            let file = rest.split_whitespace().next().unwrap_or_default();
            // A run over another input would refuse it, one over the same would find nothing left to do.
            assert!(seen.insert(file.to_owned()), "{name}: an earlier run writes to {file}, too: {line}");
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn the_index_names_every_chapter() {
    let index = read(&root().join("docs/guide/README.md"));
    for Chapter { name, .. } in chapters() {
        assert!(index.contains(&format!("({name_file})", name_file = file_of(&name))), "{name} is not in the index");
    }
}

#[test]
fn the_head_of_every_skeleton_names_its_chapter() {
    for Chapter { name, .. } in chapters() {
        let skeleton = read(&root().join(format!("crates/guide/src/exercises/ex{name}.rs")));
        assert!(skeleton.contains(&format!("docs/guide/{}", file_of(&name))), "{name}");
    }
}

fn chapters() -> Vec<Chapter> {
    let folder = fs::read_dir(root().join("crates/gannet/examples")).expect("the examples are there");
    let mut examples: Vec<PathBuf> = folder.map(|entry| entry.expect("it can be read").path()).collect();
    examples.retain(|path| name_of(path).starts_with(|first: char| first.is_ascii_digit()));
    examples.sort();
    let chapter = |path: &PathBuf| {
        let name = name_of(path);
        let text = read(&root().join("docs/guide").join(file_of(&name)));
        Chapter { name, text, example: read(path) }
    };
    examples.iter().map(chapter).collect()
}

fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `03_response` is the example of `03-response.md`.
fn file_of(name: &str) -> String {
    format!("{}.md", name.replace('_', "-"))
}

fn blocks(text: &str, kind: &str) -> Vec<String> {
    let start = format!("```{kind}\n");
    text.split(&start).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

fn without_indentation(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The long options, as they are defined: by the name of a field, or by a name of their own.
fn options_of_the_command() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for file in fs::read_dir(root().join("crates/cli/src/args")).expect("the command has its options there") {
        let path = file.expect("a file").path();
        // The folders beside them hold tests.
        if path.is_dir() {
            continue;
        }
        let text = read(&path);
        let fields = text.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) ")?.split(": ").next());
        known.extend(fields.map(|field| format!("--{}", field.replace('_', "-"))));
        let own = text.split("long = \"").skip(1).filter_map(|rest| rest.split('"').next());
        known.extend(own.map(|name| format!("--{name}")));
    }
    known
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
