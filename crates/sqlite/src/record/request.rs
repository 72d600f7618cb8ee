//! The text of a hold that bears the names of its withdrawal: the reference, a byte that says
//! whether a key follows, and then the digest of the request, the key's scope and the key. Each
//! text is four bytes of length and its bytes.

/// What a withdrawal is known by beside its payout, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) reference: &'a str,
    pub(crate) key: Option<Keyed<'a>>,
}

/// An idempotency key and the digest of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyed<'a> {
    pub(crate) scope: &'a str,
    pub(crate) key: &'a str,
    pub(crate) digest: &'a [u8; 32],
}

/// The reference, then whether a key follows: its digest, its scope and itself.
pub(super) fn write_request(request: &Request<'_>, texts: &mut Vec<u8>) {
    write_text(request.reference, texts);
    texts.push(u8::from(request.key.is_some()));
    if let Some(Keyed { scope, key, digest }) = request.key {
        texts.extend_from_slice(digest);
        write_text(scope, texts);
        write_text(key, texts);
    }
}

/// A length and the bytes.
fn write_text(text: &str, texts: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    texts.extend_from_slice(&length.to_le_bytes());
    texts.extend_from_slice(text.as_bytes());
}

/// Takes the names of a request off the front.
pub(super) fn read_request<'a>(rest: &mut &'a [u8]) -> Option<Request<'a>> {
    let reference = read_text(rest)?;
    let (has_key, tail) = rest.split_first()?;
    *rest = tail;
    let key = match has_key {
        0 => None,
        _ => {
            let (digest, tail) = rest.split_first_chunk::<32>()?;
            *rest = tail;
            let (scope, key) = (read_text(rest)?, read_text(rest)?);
            Some(Keyed { scope, key, digest })
        }
    };
    Some(Request { reference, key })
}

fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(text).ok()
}
