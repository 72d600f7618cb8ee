//! Messages of the old API: what is read, and what is refused for being more than a message.

use lingqian_wechat::v2::sign::{Method, message, signature};
use lingqian_wechat::v2::xml::{FIELDS_MAX, MESSAGE_MAX, VALUE_MAX, XmlFault, read, write};
use proptest::prelude::*;

fn value(text: &str) -> Result<String, XmlFault> {
    read(text.as_bytes()).map(|fields| fields.get("a").cloned().unwrap_or_default())
}

#[test]
fn a_message_reads_in_every_way_that_it_is_written() {
    for (text, expected) in [
        ("<xml><a>1</a></xml>", "1"),
        ("<xml><a><![CDATA[<1>]]></a></xml>", "<1>"),
        ("<xml><a><![CDATA[]]></a></xml>", ""),
        ("<xml><a/></xml>", ""),
        ("<xml>\n<a >1</a >\n</xml >", "1"),
        ("\u{feff}<?xml version=\"1.0\"?><xml><a>1</a></xml>\n", "1"),
        ("<xml><a>x<![CDATA[y]]>z</a></xml>", "xyz"),
        (
            "<xml><a>&lt;&amp;&gt;&quot;&apos;&#65;&#x4e2d;</a></xml>",
            "<&>\"'A中",
        ),
        ("<xml><a>\u{1f600}中</a></xml>", "\u{1f600}中"),
        (
            "<xml><new>2</new><a>1</a><list><i><b>9</b></i></list></xml>",
            "1",
        ),
        ("<xml><a>null</a></xml>", "null"),
    ] {
        assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_more_than_a_message_is_refused() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol1 \"&lol;&lol;\">]>\
                  <xml><a>&lol1;</a></xml>";
    let outside = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><a>&f;</a></xml>";
    for (text, expected) in [
        (laughs, XmlFault::Forbidden),
        (outside, XmlFault::Forbidden),
        ("<xml><a>&lol;</a></xml>", XmlFault::Forbidden),
        ("<xml><a>1<!-- -->2</a></xml>", XmlFault::Forbidden),
        ("<xml><?php x ?><a>1</a></xml>", XmlFault::Forbidden),
        (
            "<xml><?xml version=\"1.0\"?><a>1</a></xml>",
            XmlFault::Forbidden,
        ),
        ("<xml><a>1</a><a>2</a></xml>", XmlFault::Twice),
        ("<xml><a>1</a><a>1</a></xml>", XmlFault::Twice),
        ("<xml><a>1</a>", XmlFault::Malformed),
        ("<xml><a>1", XmlFault::Malformed),
        ("<xml><a>1</b></xml>", XmlFault::Malformed),
        ("<xml><a>1</a></xml><xml></xml>", XmlFault::Malformed),
        ("<xml><a>&#xFFFFFFFF;</a></xml>", XmlFault::Malformed),
        ("<xml><a><![CDATA[1</a></xml>", XmlFault::Malformed),
        ("<html><a>1</a></html>", XmlFault::NotXml),
        ("<xml></xml>x", XmlFault::NotXml),
        ("x", XmlFault::NotXml),
        ("", XmlFault::NotXml),
    ] {
        assert_eq!(value(text), Err(expected), "{text}");
    }
    assert_eq!(read(b"<xml><a>\xff</a></xml>"), Err(XmlFault::NotUtf8));
}

#[test]
fn everything_has_a_limit() {
    let long = |letters: usize| format!("<xml><a>{}</a></xml>", "x".repeat(letters));
    assert!(value(&long(VALUE_MAX)).is_ok());
    assert_eq!(value(&long(VALUE_MAX + 1)), Err(XmlFault::TooMuch));
    let data = format!("<xml><a>{}</a></xml>", "<![CDATA[xxxxxxxx]]>".repeat(1_000));
    assert_eq!(value(&data), Err(XmlFault::TooMuch));
    let large = format!("<xml>{}</xml>", " ".repeat(MESSAGE_MAX));
    assert_eq!(value(&large), Err(XmlFault::TooMuch));
    let many = |fields: usize| {
        let fields: String = (0..fields).map(|no| format!("<f{no}>1</f{no}>")).collect();
        value(&format!("<xml>{fields}</xml>"))
    };
    assert!(many(FIELDS_MAX).is_ok());
    assert_eq!(many(FIELDS_MAX + 1), Err(XmlFault::TooMuch));
    let deep = format!("<xml>{}{}</xml>", "<a>".repeat(20), "</a>".repeat(20));
    assert_eq!(value(&deep), Err(XmlFault::TooMuch));
}

/// Digests that `openssl dgst -md5` and `openssl dgst -sha256 -hmac` gave for this text.
#[test]
fn a_signature_is_over_sorted_fields_that_are_not_empty() {
    let fields = [
        ("re_openid", "o1".to_owned()),
        ("amount", "100".to_owned()),
        ("Zone", "1".to_owned()),
        ("desc", "理赔".to_owned()),
        ("device_info", String::new()),
        ("sign", "old".to_owned()),
        ("remark", "r".to_owned()),
    ];
    let key = "0123456789abcdef0123456789ABCDEF";
    assert_eq!(
        message(&fields, key),
        "Zone=1&amount=100&desc=理赔&re_openid=o1&remark=r&key=0123456789abcdef0123456789ABCDEF"
    );
    let md5 = signature(Method::Md5, &fields, key);
    assert_eq!(md5, "F062708C306405800C7E36D341543CC3");
    let sha256 = signature(Method::HmacSha256, &fields, key);
    assert_eq!(
        sha256,
        "E6E7618D0A34F26E74A6CA53DB4F69A3B6E188524BF5E7954E24F230A94D6191"
    );
}

proptest! {
    #[test]
    fn what_is_written_reads_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}]{0,40}") {
        let written = write(&[("a", text.clone())]);
        let fields = read(&written).expect("ours");
        // Line ends are made one kind by every reader of XML, unless they are written as numbers.
        let read = fields["a"].replace("\r\n", "\n").replace(['\u{85}', '\u{2028}'], "\n");
        let text = text.replace("\r\n", "\n").replace(['\u{85}', '\u{2028}'], "\n");
        prop_assert_eq!(read, text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let inside = [b"<xml>".as_slice(), &bytes, b"</xml>"].concat();
        let _ = read(&inside);
    }
}
