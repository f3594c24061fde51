use super::*;

fn refused(defaults: &RequestDefaults) -> Option<String> {
    let error = Plan::new(defaults, None).err()?;
    assert_eq!(error.kind(), ErrorKind::Input);
    Some(error.message())
}

fn with_url(url: &str) -> RequestDefaults {
    RequestDefaults { url: Some(url.into()), ..RequestDefaults::default() }
}

#[test]
fn a_url_for_all_rows_that_nothing_tells_apart_is_refused() {
    for url in ["http://h/items", "http://h/{{id}}", "http://h/{1}", ""] {
        let fixed = RequestDefaults { body: BodyTemplate::Data("{1}".into()), ..with_url(url) };
        assert!(refused(&fixed).unwrap().contains("every row would ask the same URL"), "{url}");
    }
    assert_eq!(refused(&with_url("http://h/{id}")), None);
    // Rows that differ elsewhere may go to one URL.
    let mut headers = Headers::new();
    headers.append("x-id", "{id}").unwrap();
    for defaults in [
        RequestDefaults { body: BodyTemplate::Json("{\"id\":{id}}".into()), ..with_url("http://h/") },
        RequestDefaults { body: BodyTemplate::Form(vec![("id".into(), "{id}".into())]), ..with_url("http://h/") },
        RequestDefaults { query: vec![("id".into(), "{id}".into())], ..with_url("http://h/") },
        RequestDefaults { headers, ..with_url("http://h/") },
    ] {
        assert_eq!(refused(&defaults), None);
    }
    assert_eq!(refused(&RequestDefaults::default()), None);
}

#[test]
fn a_brace_is_to_be_closed_in_a_url_and_text_elsewhere() {
    let error = refused(&with_url("http://h/items/{id")).unwrap();
    assert!(error.contains("the URL template: \"{id\" at character 16"), "{error}");
    let body = BodyTemplate::Data("{\"id\": {id}, {".into());
    let query = vec![("filter".into(), "{a{id}".into())];
    assert_eq!(refused(&RequestDefaults { body, query, ..with_url("http://h/{id}") }), None);
}
