//! How a part of a multipart form is written on the command line: `name=text`, `name=@FILE` or `name=<FILE`, with its
//! type and file name behind. Says what it cannot read; whether the files are there is seen when the form is made.

use std::path::PathBuf;

use super::values::{file_name, pair};

/// A part of a multipart form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartArg {
    pub(crate) name: String,
    pub(crate) content: PartContent,
    pub(crate) media: Option<String>,
    pub(crate) filename: Option<String>,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartContent {
    Text(String),
    /// The content of a file, as a text field.
    TextOf(PathBuf),
    File(PathBuf),
}

/// Reads `name=text`, `name=@FILE` or `name=<FILE`, each with `;type=TYPE` behind it, that of a file with
/// `;filename=NAME` too. A file's name or value that holds a semicolon stands in double quotes.
pub(crate) fn part(text: &str) -> Result<PartArg, String> {
    let (name, rest) = pair(text).map_err(|_| "write name=text, name=@FILE or name=<FILE".to_owned())?;
    let mut part = PartArg { name, content: PartContent::Text(String::new()), media: None, filename: None };
    if !rest.starts_with(['@', '<']) {
        // Semicolons are common in texts: the one thing that can follow is a type, at the very end.
        let (text, media) = match rest.rsplit_once(";type=") {
            Some((text, media)) if !media.contains(';') => (text.to_owned(), Some(media.to_owned())),
            _ => (rest, None),
        };
        return Ok(PartArg { content: PartContent::Text(text), media, ..part });
    }
    let mut pieces = pieces(&rest[1..])?.into_iter();
    let path = file_name(&pieces.next().unwrap_or_default())?;
    let is_file = rest.starts_with('@');
    part.content = if is_file { PartContent::File(path) } else { PartContent::TextOf(path) };
    for piece in pieces {
        match piece.split_once('=') {
            Some(("type", media)) => part.media = Some(media.to_owned()),
            Some(("filename", name)) if is_file => part.filename = Some(name.to_owned()),
            _ => return Err(format!("{piece:?}: only type= and, for a file, filename= can follow")),
        }
    }
    Ok(part)
}

/// The pieces between semicolons outside of double quotes. The quotes go; a backslash in them takes the next character
/// as it is.
fn pieces(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut piece, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => quoted = !quoted,
            '\\' if quoted => piece.extend(chars.next()),
            ';' if !quoted => all.push(std::mem::take(&mut piece).trim().to_owned()),
            _ => piece.push(char),
        }
    }
    if quoted {
        return Err("a double quote is not closed".to_owned());
    }
    all.push(piece.trim().to_owned());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_form_are_texts_or_files_with_their_types() {
        let read = |text: &str| {
            let part = part(text)?;
            let content = match part.content {
                PartContent::Text(text) => text,
                PartContent::TextOf(path) => format!("<{}", path.display()),
                PartContent::File(path) => format!("@{}", path.display()),
            };
            Ok::<_, String>((part.name, content, part.media.unwrap_or_default(), part.filename.unwrap_or_default()))
        };
        for (text, wanted) in [
            ("a=b", ("a", "b", "", "")),
            ("a=", ("a", "", "", "")),
            ("a=b;c=d; e", ("a", "b;c=d; e", "", "")),
            ("a={};type=application/json", ("a", "{}", "application/json", "")),
            ("a=@f.txt", ("a", "@f.txt", "", "")),
            ("a=@f.txt;type=text/plain;filename=g.txt", ("a", "@f.txt", "text/plain", "g.txt")),
            ("a=@\"f;1.txt\"; filename=\"g \\\";\\\\.txt\"", ("a", "@f;1.txt", "", "g \";\\.txt")),
            ("a=<f.txt;type=text/csv", ("a", "<f.txt", "text/csv", "")),
        ] {
            let (name, content, media, filename) = wanted;
            let wanted = (name.to_owned(), content.to_owned(), media.to_owned(), filename.to_owned());
            assert_eq!(read(text), Ok(wanted), "{text}");
        }
        for text in ["a", "=b", "a=@", "a=@f;x=y", "a=@f;type", "a=<f;filename=x", "a=@\"f"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
