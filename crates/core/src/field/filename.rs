//! A file's name on the word of a server: what of it may be used on this machine or any other.

/// The longest name, in bytes: file systems allow 255, and a download puts something behind it while it lasts.
const MAX: usize = 230;

/// Names that are devices on Windows, whatever their ending.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// The name that a file may be given when a server calls it so; `None` where nothing is left.
///
/// Of a path only the last part counts, with `/` and `\` alike. Gone are control characters, marks that change the
/// direction of writing, and blanks and dots at the end; `<>:"|?*` and a dot at the front (a hidden file) become `_`,
/// a name that is a device on Windows gets one in front. `.` and `..` are no names. Longer than 230 bytes it is
/// cut, its ending kept.
///
/// ```
/// use gannet_core::field::safe_filename;
/// assert_eq!(safe_filename("../../etc/passwd").as_deref(), Some("passwd"));
/// assert_eq!(safe_filename("..").as_deref(), None);
/// ```
pub fn safe_filename(name: &str) -> Option<String> {
    // What stands behind a NUL is no part of the name for some and is for others: neither is asked.
    let name = name.split('\0').next().unwrap_or_default();
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = last.chars().filter(|&char| !char.is_control() && !turns_writing(char));
    let clean: String = kept.map(|char| if "<>:\"|?*".contains(char) { '_' } else { char }).collect();
    let clean = clean.trim_start().trim_end_matches(['.', ' ']);
    if clean.is_empty() {
        return None;
    }
    let mut name = match clean.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => clean.to_owned(),
    };
    shorten(&mut name);
    // Behind the cut, which can make a device's name of a longer one; and what is put in front can be one too many.
    if is_reserved(&name) {
        name.insert(0, '_');
        shorten(&mut name);
    }
    Some(name)
}

fn turns_writing(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|rest| matches!(rest.chars().next(), Some('0'..='9' | '¹' | '²' | '³')))
            && stem.chars().count() == 4
    };
    RESERVED.contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}

fn shorten(name: &mut String) {
    if name.len() <= MAX {
        return;
    }
    let ending = name.rfind('.').map(|at| name[at..].to_owned()).filter(|ending| ending.len() <= 20);
    let ending = ending.unwrap_or_default();
    let mut at = MAX - ending.len();
    while !name.is_char_boundary(at) {
        at -= 1;
    }
    name.truncate(at);
    name.truncate(name.trim_end_matches(['.', ' ']).len());
    name.push_str(&ending);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_33_a_servers_name_never_leaves_the_folder_or_hides() {
        for (name, wanted) in [
            ("a.txt", Some("a.txt")),
            ("ünï 1.txt", Some("ünï 1.txt")),
            ("/etc/passwd", Some("passwd")),
            ("../../x", Some("x")),
            ("..\\..\\x", Some("x")),
            ("C:\\x\\y.txt", Some("y.txt")),
            ("C:y.txt", Some("C_y.txt")),
            ("a/", None),
            ("..", None),
            (".", None),
            ("", None),
            ("...", None),
            (" ", None),
            ("\0", None),
            ("a\0b", Some("a")),
            ("a\r\nb\u{1b}[31m", Some("ab[31m")),
            (".bashrc", Some("_bashrc")),
            (" .ssh", Some("_ssh")),
            ("a.txt. .", Some("a.txt")),
            ("con", Some("_con")),
            ("CON.txt", Some("_CON.txt")),
            ("com1.log", Some("_com1.log")),
            ("com10", Some("com10")),
            ("CONIN$", Some("_CONIN$")),
            ("conout$ .txt", Some("_conout$ .txt")),
            ("lpt¹", Some("_lpt¹")),
            ("console", Some("console")),
            ("a<b>|c?.txt", Some("a_b__c_.txt")),
            ("\u{202e}txt.exe", Some("txt.exe")),
        ] {
            assert_eq!(safe_filename(name).as_deref(), wanted, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_ending() {
        let name = safe_filename(&format!("{}.tar", "ü".repeat(200))).unwrap();
        assert!(name.len() <= MAX && name.ends_with("ü.tar"), "{name}");
        assert_eq!(safe_filename(&"x".repeat(300)).unwrap().len(), MAX);
        let device = safe_filename(&format!("com1.{}", "x".repeat(300))).unwrap();
        assert_eq!((device.len(), safe_filename(&device)), (MAX, Some(device.clone())));
        // What the cut lays bare is no better than what the server sent.
        assert_eq!(safe_filename(&format!("a{}b", " ".repeat(300))).as_deref(), Some("a"));
        assert_eq!(safe_filename(&format!("aux{}b.txt", " ".repeat(300))).as_deref(), Some("_aux.txt"));
    }
}
