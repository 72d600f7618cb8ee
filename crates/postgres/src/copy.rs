//! Rows in the binary form of PostgreSQL's `COPY`.

use bytes::{BufMut as _, Bytes, BytesMut};

/// What such a file begins with: the signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Rows, one after the other. The caller writes as many fields into each as it says.
pub(crate) struct Rows(BytesMut);

impl Rows {
    /// No rows, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Rows {
        let mut rows = BytesMut::with_capacity(HEADER.len() + bytes);
        rows.put_slice(HEADER);
        Rows(rows)
    }

    /// Begins a row of so many fields.
    pub(crate) fn row(&mut self, fields: i16) {
        self.0.put_i16(fields);
    }

    /// A `smallint`.
    pub(crate) fn small(&mut self, number: i16) {
        self.0.put_i32(2);
        self.0.put_i16(number);
    }

    /// An `integer`, where there is one.
    pub(crate) fn medium(&mut self, number: Option<i32>) {
        match number {
            Some(number) => {
                self.0.put_i32(4);
                self.0.put_i32(number);
            }
            None => self.0.put_i32(-1),
        }
    }

    /// A `bigint`.
    pub(crate) fn big(&mut self, number: i64) {
        self.0.put_i32(8);
        self.0.put_i64(number);
    }

    /// A `bigint`, where there is one.
    pub(crate) fn big_maybe(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.big(number),
            None => self.0.put_i32(-1),
        }
    }

    /// A `text` of less than 2 GiB, where there is one.
    pub(crate) fn text(&mut self, text: Option<&str>) {
        match text.and_then(|text| Some((i32::try_from(text.len()).ok()?, text))) {
            Some((length, text)) => {
                self.0.put_i32(length);
                self.0.put_slice(text.as_bytes());
            }
            None => self.0.put_i32(-1),
        }
    }

    /// All rows, with the end mark.
    pub(crate) fn finish(mut self) -> Bytes {
        self.0.put_i16(-1);
        self.0.freeze()
    }
}
