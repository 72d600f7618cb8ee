//! The bytes of a bill: unpacked where they are packed, hashed, and never more than a bill may be.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use flate2::bufread::MultiGzDecoder;

use super::fault::BillFault;

/// The largest bill, unpacked, in bytes: some forty million lines.
pub const BILL_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// From so many bytes on a bill is looked at for growing as no bill does.
const GROWTH_FROM: u64 = 16 * 1024 * 1024;
/// A bill has at most so many bytes for each that it is packed in.
const GROWTH_MAX: u64 = 200;
/// So much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// What a packed file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file as it came, behind one pair of eyes: packed or not is seen by its first bytes.
pub struct Unpacked<R: Read> {
    inner: Inner<R>,
    hash: Option<Hash>,
    came: u64,
}

enum Inner<R: Read> {
    Plain(BufReader<Counted<R>>),
    Packed(Box<MultiGzDecoder<BufReader<Counted<R>>>>),
}

/// Both hashes that somebody may have said.
struct Hash {
    sha1: Context,
    sha256: Option<Context>,
}

struct Counted<R> {
    input: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.read += length as u64;
        Ok(length)
    }
}

impl<R: Read> Unpacked<R> {
    /// Looks at the beginning of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(input: R) -> Result<Unpacked<R>, BillFault> {
        let counted = Counted { input, read: 0 };
        let mut input = BufReader::with_capacity(READ_BYTES, counted);
        let inner = if input.fill_buf()?.starts_with(&GZIP) {
            Inner::Packed(Box::new(MultiGzDecoder::new(input)))
        } else {
            Inner::Plain(input)
        };
        Ok(Unpacked {
            inner,
            hash: None,
            came: 0,
        })
    }

    /// Hashes what comes out: SHA-1 as WeChat does, and SHA-256 where somebody said that one.
    #[must_use]
    pub fn hashing(self, with_sha256: bool) -> Unpacked<R> {
        let hash = Hash {
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256: with_sha256.then(|| Context::new(&SHA256)),
        };
        Unpacked {
            hash: Some(hash),
            ..self
        }
    }

    /// SHA-1, and SHA-256 where it was wanted, in lower-case hex, of what came out.
    #[must_use]
    pub fn hashes(self) -> (String, Option<String>) {
        let Some(hash) = self.hash else {
            return (String::new(), None);
        };
        let sha256 = hash.sha256.map(|context| hex(context.finish().as_ref()));
        (hex(hash.sha1.finish().as_ref()), sha256)
    }

    fn grows_wildly(&self) -> bool {
        let Inner::Packed(decoder) = &self.inner else {
            return false;
        };
        let packed = decoder.get_ref().get_ref().read;
        self.came > GROWTH_FROM && self.came > packed.saturating_mul(GROWTH_MAX)
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match &mut self.inner {
            Inner::Plain(input) => input.read(buffer),
            Inner::Packed(decoder) => decoder.read(buffer).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => BillFault::PackedShort.into(),
                ErrorKind::InvalidInput | ErrorKind::InvalidData => BillFault::PackedBroken.into(),
                _ => error,
            }),
        };
        let length = read?;
        self.came += length as u64;
        if self.came > BILL_MAX || self.grows_wildly() {
            return Err(BillFault::TooLarge(self.came).into());
        }
        if let (Some(hash), Some(bytes)) = (&mut self.hash, buffer.get(..length)) {
            hash.sha1.update(bytes);
            if let Some(sha256) = &mut hash.sha256 {
                sha256.update(bytes);
            }
        }
        Ok(length)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
