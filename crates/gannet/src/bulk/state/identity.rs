//! What a run is: the settings and inputs that decide what is asked and how its rows look. A run is resumed only as
//! the same. Values that may be secret are kept as a digest: they can be compared, and not read.

use serde::{Deserialize, Serialize};

use crate::bulk::source::InputPrint;

/// The settings and inputs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The settings that were given, by name.
    pub settings: Vec<Setting>,
    /// The inputs, in order.
    pub inputs: Vec<InputPrint>,
}

/// A setting that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, as its option is called.
    pub name: String,
    /// Its values; none where they may be secret or are URLs.
    pub values: Option<Vec<String>>,
    /// A digest of its values.
    pub digest: String,
    /// Whether it decides what is asked or how rows look, so that a run cannot go on with another.
    pub fixed: bool,
}

impl Setting {
    /// A setting with its values; `shown`: they may be kept as they are.
    pub fn new(name: impl Into<String>, values: Vec<String>, shown: bool, fixed: bool) -> Self {
        // Lengths keep ["ab"] and ["a", "b"] apart.
        let joined: String = values.iter().map(|value| format!("{}:{value}", value.len())).collect();
        let digest = crate::bulk::source::digest(joined.as_bytes());
        Setting { name: name.into(), values: shown.then_some(values), digest, fixed }
    }

    /// The same, with what a file that it names holds: another content is another setting.
    #[must_use]
    pub fn with_contents(mut self, contents: &[u8]) -> Self {
        self.digest = crate::bulk::source::digest(&[self.digest.as_bytes(), contents].concat());
        self
    }

    fn tell(&self) -> String {
        match self.values.as_deref() {
            Some([]) => "given".to_owned(),
            Some(values) => values.join(" "),
            None => "another value".to_owned(),
        }
    }
}

impl Identity {
    /// What is different now, a line each, as far as it forbids to go on. Inputs are compared by the caller, who
    /// can look into them.
    pub fn changes(&self, now: &Identity) -> Vec<String> {
        let mut changes = Vec::new();
        for known in self.settings.iter().filter(|known| known.fixed) {
            match now.settings.iter().find(|setting| setting.name == known.name) {
                None => changes.push(format!("--{} was {}, and is not given", known.name, known.tell_before())),
                Some(setting) if setting.digest != known.digest => {
                    changes.push(format!("--{} was {}, and is {}", known.name, known.tell_before(), setting.tell()));
                }
                Some(_) => {}
            }
        }
        for new in now.settings.iter().filter(|new| new.fixed) {
            if !self.settings.iter().any(|known| known.name == new.name) {
                changes.push(format!("--{} was not given, and is {}", new.name, new.tell()));
            }
        }
        changes
    }
}

impl Setting {
    fn tell_before(&self) -> String {
        if self.values.is_some() { self.tell() } else { "given (its value is not kept)".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(settings: &[(&str, &[&str], bool, bool)]) -> Identity {
        let settings = settings.iter().map(|(name, values, shown, fixed)| {
            Setting::new(*name, values.iter().map(|&value| value.to_owned()).collect(), *shown, *fixed)
        });
        Identity { settings: settings.collect(), inputs: Vec::new() }
    }

    #[test]
    fn what_changed_is_named_and_no_secret_is_told() {
        let before = identity(&[
            ("method", &["PUT"], true, true),
            ("header", &["Authorization: tell-nobody"], false, true),
            ("concurrency", &["5"], true, false),
            ("no-follow", &[], true, true),
        ]);
        let now = identity(&[
            ("method", &["POST"], true, true),
            ("header", &["Authorization: another"], false, true),
            ("concurrency", &["9"], true, false),
            ("ordered", &[], true, true),
        ]);
        assert!(before.changes(&before).is_empty());
        let changes = before.changes(&now);
        assert_eq!(
            changes,
            [
                "--method was PUT, and is POST",
                "--header was given (its value is not kept), and is another value",
                "--no-follow was given, and is not given",
                "--ordered was not given, and is given",
            ]
        );
        assert!(!format!("{before:?}").contains("tell-nobody"));
    }

    #[test]
    fn values_are_not_taken_for_one_another() {
        let one = Setting::new("header", vec!["ab".to_owned()], false, true);
        let two = Setting::new("header", vec!["a".to_owned(), "b".to_owned()], false, true);
        assert_ne!(one.digest, two.digest);
    }
}
