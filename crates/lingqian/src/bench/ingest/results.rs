//! Reading answers cheaply: the head and the framing of an HTTP/1.1 response, and in its body the
//! status of every item, compared one by one with what the generator expects.

use memchr::memmem::Finder;

/// What comes before the word that says what became of an item. Quotes within JSON strings are
/// escaped, so no text that a caller made can look like it.
const MARK: &[u8] = b"\"status\":\"";

/// So much of a body is kept for an error message.
const KEPT: usize = 400;

/// The first letters of the words for what becomes of an item.
pub(crate) const CREDITED: u8 = b'c';
/// The event had been credited before.
pub(crate) const DUPLICATE: u8 = b'd';
/// The event was refused.
pub(crate) const REJECTED: u8 = b'r';

/// Compares a body with what it must say, in pieces of any size.
pub(crate) struct Results<'a> {
    expected: &'a [u8],
    finder: Finder<'static>,
    /// What was not looked at yet: the end of a piece may cut a mark.
    rest: Vec<u8>,
    found: usize,
    wrong: usize,
    begin: Vec<u8>,
}

impl<'a> Results<'a> {
    /// Expects these letters in this order.
    pub(crate) fn expect(expected: &'a [u8]) -> Results<'a> {
        Results {
            expected,
            finder: Finder::new(MARK),
            rest: Vec::new(),
            found: 0,
            wrong: 0,
            begin: Vec::new(),
        }
    }

    /// More of the body.
    fn take(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.begin.len()).min(piece.len());
        self.begin.extend_from_slice(&piece[..room]);
        self.rest.extend_from_slice(piece);
        let mut from = 0;
        while let Some(at) = self.finder.find(&self.rest[from..]) {
            let letter = from + at + MARK.len();
            let Some(letter_found) = self.rest.get(letter) else {
                from += at;
                break;
            };
            if self.expected.get(self.found) != Some(letter_found) {
                self.wrong += 1;
            }
            self.found += 1;
            from = letter;
        }
        let keep = self.rest.len().min(MARK.len());
        let done = from.max(self.rest.len() - keep);
        self.rest.drain(..done);
    }

    /// Says whether every item got what it must.
    ///
    /// # Errors
    /// What the body said instead.
    fn finish(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.found == self.expected.len() && self.wrong == 0,
            "{} results came for {} events and {} were not what they must be; the answer begins: {}",
            self.found,
            self.expected.len(),
            self.wrong,
            String::from_utf8_lossy(&self.begin)
        );
        Ok(())
    }
}

/// Where in a response the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// A body of known length, with so many bytes to come.
    Sized(usize),
    ChunkSize,
    Chunk(usize),
    /// The line end after a chunk.
    ChunkEnd,
    /// After the last chunk.
    Trailer,
    Done,
}

/// Reads one response.
#[derive(Debug)]
pub(crate) struct Response {
    place: Place,
    status: u16,
}

impl Response {
    /// Before its first byte.
    pub(crate) fn new() -> Response {
        Response {
            place: Place::Head,
            status: 0,
        }
    }

    /// Reads on in `bytes` and says how many it is done with and whether the response is over.
    ///
    /// # Errors
    /// For what is no response, none of success, or not what was expected.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        results: &mut Results<'_>,
    ) -> anyhow::Result<(usize, bool)> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.place {
                Place::Head => match head(rest)? {
                    None => return Ok((at, false)),
                    Some((length, status, place)) => {
                        (self.status, self.place) = (status, place);
                        at += length;
                    }
                },
                Place::Sized(left) | Place::Chunk(left) if left > 0 => {
                    if rest.is_empty() {
                        return Ok((at, false));
                    }
                    let piece = &rest[..left.min(rest.len())];
                    results.take(piece);
                    at += piece.len();
                    let left = left - piece.len();
                    self.place = match self.place {
                        Place::Sized(_) => Place::Sized(left),
                        _ => Place::Chunk(left),
                    };
                }
                Place::Sized(_) => self.place = Place::Done,
                Place::Chunk(_) => self.place = Place::ChunkEnd,
                Place::ChunkSize | Place::ChunkEnd | Place::Trailer => match line(rest) {
                    None => return Ok((at, false)),
                    Some(text) => {
                        at += text.len() + 2;
                        self.place = self.after(text)?;
                    }
                },
                Place::Done => {
                    anyhow::ensure!(
                        self.status == 200,
                        "the server answered {}: {}",
                        self.status,
                        String::from_utf8_lossy(&results.begin)
                    );
                    results.finish()?;
                    return Ok((at, true));
                }
            }
        }
    }

    /// Where a line of the framing leads.
    fn after(&self, line: &[u8]) -> anyhow::Result<Place> {
        Ok(match self.place {
            Place::ChunkEnd => Place::ChunkSize,
            Place::Trailer if line.is_empty() => Place::Done,
            Place::Trailer => Place::Trailer,
            _ => {
                let text = std::str::from_utf8(line)?;
                let digits = text.split(';').next().unwrap_or_default().trim();
                match usize::from_str_radix(digits, 16)? {
                    0 => Place::Trailer,
                    size => Place::Chunk(size),
                }
            }
        })
    }
}

/// A line without its end, once it is whole.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    Some(&bytes[..end])
}

/// Length and status of a head, and what follows it, once it is whole.
fn head(bytes: &[u8]) -> anyhow::Result<Option<(usize, u16, Place)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        anyhow::ensure!(bytes.len() < 65_536, "the head of an answer has no end");
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end])?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status: u16 = status.unwrap_or_default().parse()?;
    let mut place = Place::Done;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            place = Place::Sized(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            place = Place::ChunkSize;
        }
    }
    Ok(Some((end + 4, status, place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a response in pieces of that size.
    fn read(text: &str, piece: usize, expected: &[u8]) -> Result<usize, String> {
        let (mut response, mut results) = (Response::new(), Results::expect(expected));
        let mut buffer = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            buffer.extend_from_slice(piece);
            let read = response.read(&buffer, &mut results);
            let (done, over) = read.map_err(|error| error.to_string())?;
            buffer.drain(..done);
            if over {
                return Ok(buffer.len());
            }
        }
        Err("it has no end".into())
    }

    const SIZED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\n\
        [{\"status\":\"credited\",\"line\":1},{\"status\":\"duplicate\"}]\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
        c\r\n{\"status\":\"c\r\n11\r\nredited\",\"n\":12}\n\r\n15\r\n{\"status\":\"rejected\"}\r\n0\r\n\r\n";

    #[test]
    fn however_an_answer_is_cut_every_item_is_compared() {
        for piece in 1..CHUNKED.len() + 1 {
            assert_eq!(read(SIZED, piece, b"cd"), Ok(0), "pieces of {piece}");
            assert_eq!(read(CHUNKED, piece, b"cr"), Ok(0), "pieces of {piece}");
            for wrong in [&b"cc"[..], b"c", b"cdd"] {
                let said = read(SIZED, piece, wrong).expect_err("not what was expected");
                assert!(said.contains("2 results came"), "{said}");
            }
        }
        let refused = SIZED.replace("200 OK", "503 Busy");
        let said = read(&refused, 9, b"cd").expect_err("no success");
        assert!(said.contains("answered 503"), "{said}");
    }
}
