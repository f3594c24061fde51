use super::*;

/// Values by name: text, and JSON where given.
struct Given<'a>(&'a Names, &'a [(&'a str, &'a str, Option<&'a str>)]);

impl Values for Given<'_> {
    fn value(&self, name: usize) -> Result<Value<'_>, String> {
        let name = self.0.name(name);
        let found = self.1.iter().find(|(known, ..)| *known == name);
        found.map(|(_, text, json)| Value { text: Cow::Borrowed(text), json: *json }).ok_or(format!("no {name}"))
    }
}

const URL: Kind = Kind::Url { has_base: false };

fn fill(template: &str, kind: Kind, values: &[(&str, &str)]) -> Result<String, String> {
    let mut names = Names::new();
    let template = Template::parse(template, kind, &mut names);
    let values: Vec<_> = values.iter().map(|&(name, text)| (name, text, None)).collect();
    template.fill(&names, &Given(&names, &values))
}

fn filled(template: &str, kind: Kind, values: &[(&str, &str)]) -> String {
    fill(template, kind, values).unwrap()
}

#[test]
fn values_in_a_url_are_percent_encoded_all_but_the_unreserved() {
    let values = [("id", "a/b ?#&=%+é~-._"), ("User-Id 2", "7")];
    let encoded = "a%2Fb%20%3F%23%26%3D%25%2B%C3%A9~-._";
    assert_eq!(filled("http://h/{id}", URL, &values), format!("http://h/{encoded}"));
    assert_eq!(filled("http://h/?q={id}&u={User-Id 2}", URL, &values), format!("http://h/?q={encoded}&u=7"));
}

#[test]
fn a_placeholder_at_the_start_is_the_url_itself_unless_there_is_a_base() {
    let values = [("site", "https://h.example:8/a")];
    assert_eq!(filled("{site}/x", URL, &values), "https://h.example:8/a/x");
    assert_eq!(filled("{site}/x", Kind::Url { has_base: true }, &values), "https%3A%2F%2Fh.example%3A8%2Fa/x");
}

#[test]
fn a_value_that_would_change_the_path_is_refused() {
    for value in ["", ".", ".."] {
        for template in ["http://h/u/{id}", "http://h/{id}/x", "http://h/{id}?q=1"] {
            let error = fill(template, URL, &[("id", value)]).unwrap_err();
            assert!(error.contains("\"id\""), "{error}");
        }
        assert_eq!(filled("http://h/v{id}?q={id}", URL, &[("id", value)]), format!("http://h/v{value}?q={value}"));
    }
}

#[test]
fn doubled_braces_are_braces() {
    assert_eq!(filled("http://h/{{id}}/{{/}}", URL, &[]), "http://h/{id}/{/}");
    assert_eq!(filled(r#"{"a":"{{id}}","b":{"c":{}}}"#, Kind::Json, &[]), r#"{"a":"{id}","b":{"c":{}}}"#);
    assert_eq!(filled("{{id}} {id} }}{{", Kind::Plain, &[("id", "7")]), "{id} 7 }}{{");
}

#[test]
fn only_names_are_placeholders() {
    for text in ["{}", "{ id}", "{id }", "{1}", "{\"id\"}", "{id", "id}", "{a:b}", "\\d{3}"] {
        assert_eq!(filled(text, Kind::Plain, &[]), text);
    }
    assert_eq!(fill("{id}", Kind::Plain, &[]), Err("no id".to_owned()));
}

#[test]
fn a_brace_in_a_url_that_is_not_closed_is_shown() {
    let url = |text| Template::url(text, false, &mut Names::new()).map(|_| ());
    for (text, shown) in [
        ("http://h/items/{id", "\"{id\" at character 16 has"),
        ("http://h/é/{id/x?token=sesame", "\"{id/\" at character 12 has"),
        ("http://h/{id?token=sesame", "\"{id?\" at"),
        ("http://h/{a/{b}", "\"{a/\" at character 10 has"),
        ("http://h/{{{id", "\"{id\" at character 12 has"),
        // Two that close are one that is shown, and no longer the JSON that was meant.
        (r#"http://h/?q={"a":{"b":1}}"#, "at character 13 has"),
    ] {
        let error = url(text).unwrap_err();
        assert!(error.contains(shown) && error.contains("{{ stands for") && !error.contains("sesame"), "{error}");
    }
    for text in [
        "http://h/{id}",
        "http://h/{{id",
        "http://h/{{id}}/{x}",
        "http://h/{1}",
        "http://h/{a{b}c}",
        "http://h/id}",
        "{{",
    ] {
        assert_eq!(url(text), Ok(()), "{text}");
    }
}

#[test]
fn json_values_are_escaped_in_quotes_and_typed_outside() {
    let template = r#"{"name":"<{v}>","v":{v},"deep":{"v":[{v}]}}"#;
    for (text, in_quotes, bare) in [
        ("a\"b\\\n", r#"a\"b\\\n"#, r#""a\"b\\\n""#),
        ("12", "12", "12"),
        ("-1.5e+3", "-1.5e+3", "-1.5e+3"),
        ("123456789012345678901234567890", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("007", "007", "\"007\""),
        ("1.", "1.", "\"1.\""),
        ("NaN", "NaN", "\"NaN\""),
        ("true", "true", "true"),
        ("null", "null", "null"),
        ("", "", "\"\""),
        ("{}", "{}", "\"{}\""),
    ] {
        let got = filled(template, Kind::Json, &[("v", text)]);
        assert_eq!(got, format!(r#"{{"name":"<{in_quotes}>","v":{bare},"deep":{{"v":[{bare}]}}}}"#));
        serde_json::from_str::<serde_json::Value>(&got).unwrap();
    }
}

#[test]
fn a_quote_behind_a_backslash_does_not_end_the_string() {
    let template = r#"{"a\"{v}":"\\","b":{v}}"#;
    assert_eq!(filled(template, Kind::Json, &[("v", "x\"")]), r#"{"a\"x\"":"\\","b":"x\""}"#);
}

#[test]
fn a_value_from_json_keeps_its_type() {
    let mut names = Names::new();
    let template = Template::parse(r#"{"a":{v},"b":"{v}"}"#, Kind::Json, &mut names);
    let text = |text, json| template.fill(&names, &Given(&names, &[("v", text, Some(json))])).unwrap();
    assert_eq!(text("5", "\"5\""), r#"{"a":"5","b":"5"}"#);
    assert_eq!(text("[1,\"x\"]", "[1,\"x\"]"), r#"{"a":[1,"x"],"b":"[1,\"x\"]"}"#);
}

#[test]
fn a_json_template_is_tried_before_it_is_used() {
    let check = |text: &str| Template::parse(text, Kind::Json, &mut Names::new()).check_json().is_ok();
    assert!(check(r#"{"a":{v},"b":"x{v}y","c":[{v},{w}]}"#));
    for bad in ["{v", r#"{"a":}"#, r#"{{v}:1}"#, r#"{"a":{v}{v},}"#, ""] {
        assert!(!check(bad), "{bad}");
    }
}
