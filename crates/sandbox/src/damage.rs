//! Damage to the files of bills, on purpose.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::Refused;
use crate::bill;
use crate::books::Books;
use crate::crypto::sha1_hex;
use crate::world::{Member, World};

/// What can be wrong with a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Damage {
    /// It is not made yet, whatever the hour.
    Late,
    /// It breaks off in the middle; its hash is that of the whole.
    Truncated,
    /// The hash that is told is another one.
    WrongHash,
    /// The last line and the totals are missing, and the hash is that of what is left.
    LostTail,
    /// The first line stands there twice.
    LineTwice,
    /// The column of merchants' numbers is called something else.
    MissingColumn,
    /// A column that nobody knows comes first.
    ExtraColumn,
    /// Lines end with LF alone.
    LineFeeds,
    /// It does not begin with a byte order mark.
    NoMark,
    /// The first movement is of 00:00:00, the last one of 23:59:59.
    Midnight,
}

/// What a hash of the wrong file looks like.
const WRONG_HASH: &str = "0000000000000000000000000000000000000000";

/// Applies for a bill; where the file is damaged, its hash is told accordingly.
pub(crate) fn apply(
    world: &World,
    member: &Member,
    books: &Books,
    query: &str,
) -> Result<Value, Refused> {
    let damage = world.faults().bill.clone();
    if damage.contains(&Damage::Late) {
        return Err(Refused::new(400, "STATEMENT_CREATING", "账单生成中"));
    }
    let mut told = bill::apply(world, member, books, query)?;
    if damage.is_empty() {
        return Ok(told);
    }
    if damage.contains(&Damage::WrongHash) {
        told["hash_value"] = json!(WRONG_HASH);
    } else if !damage.contains(&Damage::Truncated) {
        let url = told["download_url"].as_str().unwrap_or_default();
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let whole = bill::download(member, books, query)?;
        told["hash_value"] = json!(sha1_hex(&damaged(&unpacked(whole), &damage)));
    }
    Ok(told)
}

/// The file of a token, damaged as it is to be.
pub(crate) fn download(
    world: &World,
    member: &Member,
    books: &Books,
    query: &str,
) -> Result<Vec<u8>, Refused> {
    let file = bill::download(member, books, query)?;
    let damage = world.faults().bill.clone();
    if damage.is_empty() {
        return Ok(file);
    }
    let packed = file.starts_with(&[0x1f, 0x8b]);
    let file = damaged(&unpacked(file), &damage);
    if packed { Ok(pack(&file)) } else { Ok(file) }
}

fn unpacked(file: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    match GzDecoder::new(file.as_slice()).read_to_end(&mut plain) {
        Ok(_) => plain,
        Err(_) => file,
    }
}

fn pack(file: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(file).and_then(|()| encoder.finish());
    packed.expect("memory takes everything")
}

/// The file as it comes out.
fn damaged(file: &[u8], damage: &BTreeSet<Damage>) -> Vec<u8> {
    let has = |one| damage.contains(&one);
    let text = String::from_utf8_lossy(file);
    let body = text.trim_start_matches('\u{feff}');
    let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
    if has(Damage::MissingColumn)
        && let Some(header) = lines.first_mut()
    {
        *header = header.replace("业务凭证号", "凭证");
    }
    if has(Damage::Midnight) {
        midnight(&mut lines);
    }
    if has(Damage::ExtraColumn) {
        for (no, line) in lines.iter_mut().enumerate() {
            let before = if no == 0 { "新列," } else { "`新," };
            // The totals have columns of their own.
            if no == 0 || is_movement(line) {
                *line = format!("{before}{line}");
            }
        }
    }
    if has(Damage::LineTwice)
        && let Some(line) = lines.get(1).cloned()
    {
        lines.insert(1, line);
    }
    if has(Damage::LostTail) {
        lines.truncate(lines.len().saturating_sub(3));
    }
    let end = if has(Damage::LineFeeds) { "\n" } else { "\r\n" };
    let mark = if has(Damage::NoMark) { "" } else { "\u{feff}" };
    let mut out = format!("{mark}{}{end}", lines.join(end)).into_bytes();
    if has(Damage::Truncated) {
        out.truncate(out.len() / 2);
    }
    out
}

/// Movements begin with a date, totals with a count.
fn is_movement(line: &str) -> bool {
    line.starts_with('`') && line.get(5..6) == Some("-")
}

/// The moments at which a day begins and ends.
fn midnight(lines: &mut [String]) {
    let at = |line: &mut String, time: &str| {
        if line.is_char_boundary(12) && line.is_char_boundary(20) {
            line.replace_range(12..20, time);
        }
    };
    if let Some(line) = lines.iter_mut().rfind(|line| is_movement(line)) {
        at(line, "23:59:59");
    }
    if let Some(line) = lines.iter_mut().find(|line| is_movement(line)) {
        at(line, "00:00:00");
    }
}
