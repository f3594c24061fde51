use proptest::prelude::*;

use super::*;

fn all(pattern: &str) -> Vec<String> {
    let expansion = Expansion::parse(pattern).unwrap();
    (0..expansion.count()).map(|n| expansion.nth(n)).collect()
}

#[test]
fn ranges_count_up_down_and_padded() {
    assert_eq!(all("http://h/{1..3}"), ["http://h/1", "http://h/2", "http://h/3"]);
    assert_eq!(all("{3..1}"), ["3", "2", "1"]);
    assert_eq!(all("{08..10}"), ["08", "09", "10"]);
    assert_eq!(all("{10..08}x"), ["10x", "09x", "08x"]);
    assert_eq!(all("{0..0}"), ["0"]);
}

#[test]
fn several_patterns_combine_with_the_rightmost_fastest() {
    assert_eq!(all("{a,b}/{1..2}{x,}"), ["a/1x", "a/1", "a/2x", "a/2", "b/1x", "b/1", "b/2x", "b/2"]);
}

#[test]
fn other_braces_stay_as_they_are() {
    for pattern in
        ["http://h/{id}", "{}", "{", "}{", "{1..}", "{..2}", "{a..c}", "{1..99999999999999999999}", "{-1..2}"]
    {
        assert_eq!(all(pattern), [pattern]);
    }
    assert_eq!(all("{x{1..2}}"), ["{x1}", "{x2}"]);
}

#[test]
fn a_huge_range_is_counted_but_not_made() {
    let expansion = Expansion::parse("http://h/{1..1000000000}/{a,b}").unwrap();
    assert_eq!(expansion.count(), 2_000_000_000);
    assert_eq!(expansion.nth(1_999_999_999), "http://h/1000000000/b");
    for pattern in ["{0..18446744073709551615}", "{1..10000000000}{1..10000000000}"] {
        assert!(Expansion::parse(pattern).unwrap_err().contains("more URLs"), "{pattern}");
    }
}

proptest! {
    #[test]
    fn any_text_expands_without_panic(pattern in "[a{},.0-9]{0,24}") {
        if let Ok(expansion) = Expansion::parse(&pattern) {
            prop_assert!(expansion.count() > 0);
            expansion.nth(0);
            expansion.nth(expansion.count() - 1);
        }
    }
}
