//! One earning event as text: what reads, and what each mistake is called.

use lingqian_core::earning::EarningEvent;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_engine::ingest::{Items, Unreadable};
use lingqian_http::wire::event;
use lingqian_http::wire::rfc3339;

const GOOD: &str = r#""source":"app","event_id":"e1","user":"u1","kind":"ad_view""#;

fn with(tail: &str) -> String {
    format!("{{{GOOD},{tail}}}")
}

/// Reads one event and checks its texts, as for a batch.
fn parse_event(text: &[u8]) -> Result<EarningEvent, Unreadable> {
    let event = event::parse_event(text)?;
    let mut items = Items::default();
    items.push(1, 0..text.len(), Ok(&event.view()));
    if let Some(unreadable) = items.unreadable().next() {
        return Err(unreadable.clone());
    }
    let view = items.events().get(0).expect("what can be read is there");
    Ok(view.to_event().expect("a batch holds whole events"))
}

fn refused(text: &[u8]) -> (&'static str, Option<String>, String) {
    let shown = String::from_utf8_lossy(text);
    let fault = parse_event(text).expect_err(&shown);
    (fault.code, fault.field, fault.detail)
}

#[test]
fn everything_that_an_event_says_is_read() {
    let text = with(r#""amount_micros":2500,"occurred_at":"2026-03-02T18:15:07.123+08:00""#);
    let event = parse_event(text.as_bytes()).expect("reads");
    assert_eq!(event.source.as_str(), "app");
    assert_eq!(event.event_id.as_str(), "e1");
    assert_eq!(event.user.as_str(), "u1");
    assert_eq!(event.kind.as_str(), "ad_view");
    assert_eq!(event.amount, Some(Micros(2_500)));
    assert_eq!(event.occurred_at, Some(Timestamp(1_772_446_507_123)));
}

#[test]
fn escapes_spaces_order_and_nulls_do_not_matter() {
    let text = "\t{ \"kind\":\"ad\\u005fview\", \"user\":\"u1\",\"amount_fen\": null ,\
                \"event_id\":\"e1\",\n\"source\":\"app\", \"amount_micros\":1 }\r\n";
    let escaped = parse_event(text.as_bytes()).expect("reads");
    let plain = parse_event(with(r#""amount_micros":1"#).as_bytes()).expect("reads");
    assert_eq!(escaped, plain);
}

#[test]
fn the_longest_ids_are_read_and_longer_ones_name_field_and_limit() {
    for (field, max) in [("source", 32), ("event_id", 64), ("user", 64), ("kind", 32)] {
        let line = |length: usize| {
            let mut value: serde_json::Value =
                serde_json::from_str(&format!("{{{GOOD}}}")).expect("JSON");
            value[field] = "x".repeat(length).into();
            value.to_string()
        };
        assert!(parse_event(line(max).as_bytes()).is_ok(), "{field}");
        let (code, named, detail) = refused(line(max + 1).as_bytes());
        assert_eq!((code, named.as_deref()), ("malformed", Some(field)));
        assert_eq!(
            detail,
            format!("{field} must have at most {max} characters")
        );
        assert_eq!(refused(line(0).as_bytes()).0, "malformed");
    }
}

#[test]
fn an_amount_is_a_whole_number_or_named_as_none() {
    for field in ["amount_micros", "amount_fen"] {
        for value in [
            "1.5", "1.0", "1e3", "1E-2", "\"5\"", "true", "[5]", "{}", "-1.5", "-0",
        ] {
            let (code, named, detail) = refused(with(&format!("\"{field}\":{value}")).as_bytes());
            assert_eq!(
                (code, named.as_deref()),
                ("amount_not_integer", Some(field)),
                "{value}"
            );
            assert!(detail.contains("integer"), "{detail}");
        }
        for value in ["0x10", "+5", "05", "1_000", ".5", "NaN", "5,"] {
            let code = refused(with(&format!("\"{field}\":{value}")).as_bytes()).0;
            assert_eq!(code, "malformed_json", "{value}");
        }
    }
    let fen = i64::MAX / 10_000 + 1;
    let (code, named, _) = refused(with(&format!("\"amount_fen\":{fen}")).as_bytes());
    assert_eq!(
        (code, named.as_deref()),
        ("amount_out_of_range", Some("amount_fen"))
    );
}

#[test]
fn fields_that_are_missing_unknown_or_of_another_sort_are_named() {
    for field in ["source", "event_id", "user", "kind"] {
        let rest: Vec<&str> = GOOD
            .split(',')
            .filter(|part| !part.contains(field))
            .collect();
        let without = format!("{{{}}}", rest.join(","));
        let (code, named, _) = refused(without.as_bytes());
        assert_eq!((code, named.as_deref()), ("field_missing", Some(field)));
        let null = format!("{{{},\"{field}\":null}}", rest.join(","));
        assert_eq!(refused(null.as_bytes()).0, "field_missing");
        let number = format!("{{{},\"{field}\":7}}", rest.join(","));
        let (code, named, _) = refused(number.as_bytes());
        assert_eq!((code, named.as_deref()), ("field_invalid", Some(field)));
    }
    let (code, named, detail) = refused(with(r#""amount":5"#).as_bytes());
    assert_eq!((code, named.as_deref()), ("field_unknown", Some("amount")));
    assert!(detail.contains("amount_micros"), "it says which are known");
    assert_eq!(
        refused(with(r#""user":"u2""#).as_bytes()).0,
        "field_invalid"
    );
    let both = with(r#""amount_micros":1,"amount_fen":1"#);
    assert_eq!(refused(both.as_bytes()).0, "amount_twice");
}

#[test]
fn a_time_without_a_zone_or_a_day_that_is_none_is_refused() {
    for time in [
        "2026-03-02T10:15:07",
        "2026-02-30T10:15:07Z",
        "2026-03-02",
        "now",
        "",
        "0",
    ] {
        let line = with(&format!("\"occurred_at\":\"{time}\""));
        let (code, named, _) = refused(line.as_bytes());
        assert_eq!(
            (code, named.as_deref()),
            ("time_invalid", Some("occurred_at")),
            "{time}"
        );
    }
    let (code, named, _) = refused(with(r#""occurred_at":1772446507"#).as_bytes());
    assert_eq!(
        (code, named.as_deref()),
        ("field_invalid", Some("occurred_at"))
    );
}

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let two = format!("{{{GOOD}}}{{{GOOD}}}");
    let cases: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"7",
        b"\"x\"",
        b"[]",
        b"\xff\xfe{}",
        deep.as_bytes(),
        two.as_bytes(),
    ];
    for text in cases {
        assert_eq!(
            refused(text).0,
            "malformed_json",
            "{}",
            String::from_utf8_lossy(text)
        );
    }
    let invalid = [b"{\"source\":\"".as_slice(), b"\xff\"}"].concat();
    assert_eq!(refused(&invalid).0, "malformed_json");
}

#[test]
fn a_long_unknown_name_is_cut_in_the_answer() {
    let line = format!("{{\"{}\":1}}", "长".repeat(1_000));
    let (code, named, _) = refused(line.as_bytes());
    assert_eq!(code, "field_unknown");
    assert_eq!(named.map(|name| name.chars().count()), Some(64));
}

#[test]
fn moments_are_written_in_utc() {
    assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
    assert_eq!(
        rfc3339(Timestamp(1_772_446_507_120)),
        "2026-03-02T10:15:07.12Z"
    );
}
