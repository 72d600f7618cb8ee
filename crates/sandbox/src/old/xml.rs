//! Flat XML, read by hand: `<xml>` with fields, in clear or as CDATA.

use std::collections::BTreeMap;

/// The most fields of a message.
const FIELDS_MAX: usize = 64;

/// The fields of a message, or nothing when it is none.
pub(crate) fn read(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    if let Some(declared) = rest.strip_prefix("<?xml ") {
        rest = declared.split_once("?>")?.1.trim_start();
    }
    rest = tag(rest, "xml")?;
    let mut fields = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix("</xml") {
            return (end.trim() == ">").then_some(fields);
        }
        let inside = rest.strip_prefix('<')?;
        let end = inside.find('>')?;
        let name = inside.get(..end)?.trim_end();
        if !is_name(name) || fields.len() >= FIELDS_MAX {
            return None;
        }
        let (value, after) = value(inside.get(end + 1..)?, name)?;
        if fields.insert(name.to_owned(), value).is_some() {
            return None;
        }
        rest = after;
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What follows an opening tag, blanks before its end allowed.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.strip_prefix('<')?.strip_prefix(name)?;
    rest.trim_start().strip_prefix('>')
}

/// A value up to its closing tag.
fn value<'a>(text: &'a str, name: &str) -> Option<(String, &'a str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let open = rest.find('<')?;
        value.push_str(&plain(rest.get(..open)?)?);
        rest = rest.get(open..)?;
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let (inside, after) = data.split_once("]]>")?;
            value.push_str(inside);
            rest = after;
        } else {
            let after = rest.strip_prefix("</")?.strip_prefix(name)?;
            return Some((value, after.trim_start().strip_prefix('>')?));
        }
    }
}

/// A character by its number, such as `#20013` or `#x4e2d`.
fn numbered(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|letter| *letter != '\0')
}

/// Text in clear: the five characters that XML names, and characters by their numbers.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(rest.get(..at)?);
        let (name, after) = rest.get(at + 1..)?.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => numbered(name)?,
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

/// A message; numbers come in clear, everything else as CDATA.
pub(crate) fn write(fields: &[(&str, String)]) -> String {
    let mut text = String::from("<xml>\n");
    for (name, value) in fields {
        if *name == "hblist" {
            text.push_str(&format!("<{name}>{value}</{name}>\n"));
            continue;
        }
        let number = matches!(*name, "payment_amount" | "total_amount" | "total_num");
        if number {
            text.push_str(&format!("<{name}>{value}</{name}>\n"));
        } else {
            let value = value.replace("]]>", "]]]]><![CDATA[>");
            text.push_str(&format!("<{name}><![CDATA[{value}]]></{name}>\n"));
        }
    }
    text + "</xml>"
}
