//! `<xml>` with one level of fields, as the old API speaks. Whatever else XML could be (documents
//! types, entities, comments, instructions) is refused, and so is everything that is too much.

use std::collections::BTreeMap;

use quick_xml::events::{BytesRef, Event};
use quick_xml::{Reader, escape};

/// The largest message that is read, in bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// The most fields of a message.
pub const FIELDS_MAX: usize = 64;
/// The longest value, in bytes.
pub const VALUE_MAX: usize = 4_096;
/// How deep elements may be nested: some answers have lists, which are skipped.
pub const DEPTH_MAX: usize = 5;

/// The fields of a message by their names.
pub type Fields = BTreeMap<String, String>;

/// Why something is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    /// More than [`MESSAGE_MAX`] bytes, [`FIELDS_MAX`] fields, [`VALUE_MAX`] bytes of a value, or
    /// deeper than [`DEPTH_MAX`].
    #[error("is larger than a message may be")]
    TooMuch,
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// Not well-formed, or it breaks off.
    #[error("is not well-formed XML")]
    Malformed,
    /// A document type, an entity, a comment or an instruction.
    #[error("holds a document type, an entity, a comment or an instruction")]
    Forbidden,
    /// The outermost element is another one.
    #[error("is not an xml message")]
    NotXml,
    /// One field twice.
    #[error("holds a field twice")]
    Twice,
}

impl XmlFault {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            XmlFault::TooMuch => "xml_too_much",
            XmlFault::NotUtf8 => "xml_not_utf8",
            XmlFault::Malformed => "xml_malformed",
            XmlFault::Forbidden => "xml_forbidden",
            XmlFault::NotXml => "xml_other",
            XmlFault::Twice => "xml_twice",
        }
    }
}

/// Reads a message. Text outside of fields and whatever lies deeper than a field is skipped.
///
/// # Errors
/// The first rule that it breaks.
pub fn read(message: &[u8]) -> Result<Fields, XmlFault> {
    if message.len() > MESSAGE_MAX {
        return Err(XmlFault::TooMuch);
    }
    let text = std::str::from_utf8(message).map_err(|_| XmlFault::NotUtf8)?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut reader = Reader::from_str(text);
    let mut reading = Reading::default();
    loop {
        match reader.read_event().map_err(|_| XmlFault::Malformed)? {
            Event::Start(start) => reading.open(start.name().as_ref())?,
            Event::Empty(start) => {
                reading.open(start.name().as_ref())?;
                reading.close()?;
            }
            Event::End(_) => reading.close()?,
            Event::Text(text) => reading.say(&text.xml10_content())?,
            Event::CData(text) => reading.say(&text.xml10_content())?,
            Event::GeneralRef(named) => reading.say(&predefined(&named)?)?,
            Event::Decl(_) if reading.is_new() => {}
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) => {
                return Err(XmlFault::Forbidden);
            }
            Event::Eof => return reading.end(),
        }
    }
}

/// The five characters that XML itself names, and characters by their numbers. Everything else
/// would have to be declared.
fn predefined(named: &BytesRef<'_>) -> Result<String, XmlFault> {
    if named.is_char_ref() {
        let found = named.resolve_char_ref().map_err(|_| XmlFault::Malformed)?;
        return found.map(String::from).ok_or(XmlFault::Malformed);
    }
    let found = escape::resolve_xml_entity(&named.xml10_content());
    found.map(str::to_owned).ok_or(XmlFault::Forbidden)
}

#[derive(Default)]
struct Reading {
    depth: usize,
    ended: bool,
    field: Option<(String, String)>,
    fields: Fields,
}

impl Reading {
    fn is_new(&self) -> bool {
        self.depth == 0 && !self.ended
    }

    fn open(&mut self, name: &str) -> Result<(), XmlFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(XmlFault::TooMuch);
        }
        match self.depth {
            1 if self.ended => Err(XmlFault::Malformed),
            1 if name != "xml" => Err(XmlFault::NotXml),
            2 if self.fields.len() >= FIELDS_MAX => Err(XmlFault::TooMuch),
            2 => {
                self.field = Some((name.to_owned(), String::new()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), XmlFault> {
        self.depth = self.depth.checked_sub(1).ok_or(XmlFault::Malformed)?;
        self.ended |= self.depth == 0;
        if self.depth != 1 {
            return Ok(());
        }
        let Some((name, value)) = self.field.take() else {
            return Ok(());
        };
        match self.fields.insert(name, value) {
            Some(_) => Err(XmlFault::Twice),
            None => Ok(()),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), XmlFault> {
        if self.depth == 0 && !text.trim().is_empty() {
            return Err(XmlFault::NotXml);
        }
        if let (2, Some((_, value))) = (self.depth, &mut self.field) {
            if value.len() + text.len() > VALUE_MAX {
                return Err(XmlFault::TooMuch);
            }
            value.push_str(text);
        }
        Ok(())
    }

    fn end(self) -> Result<Fields, XmlFault> {
        match (self.ended, self.depth) {
            (true, 0) => Ok(self.fields),
            (false, 0) => Err(XmlFault::NotXml),
            _ => Err(XmlFault::Malformed),
        }
    }
}

/// Writes a message.
#[must_use]
pub fn write(fields: &[(&str, String)]) -> Vec<u8> {
    let mut text = String::from("<xml>");
    for (name, value) in fields {
        let value = escape::escape(value.as_str());
        text.push_str(&format!("<{name}>{value}</{name}>"));
    }
    text.push_str("</xml>");
    text.into_bytes()
}
