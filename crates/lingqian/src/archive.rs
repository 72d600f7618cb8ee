//! Raw files are kept as they came: sealed piece by piece, named after what they are, hashed, and
//! never changed. `lingqian kept` lists them and opens them.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest::{Context, SHA256};
use lingqian_io::files::{Archive, Label, Waiting};
use lingqian_io::{Fault, Sealed, Sealer as _};
use lingqian_keys::EnvelopeSealer;
use serde::{Deserialize, Serialize};

/// What a kept file begins with.
const MAGIC: &[u8; 8] = b"LQKEPT1\n";
/// So much is sealed together, in bytes.
const PIECE: usize = 1024 * 1024;
/// A sealed piece is at most so much longer.
const SEAL_MAX: usize = 4 * 1024;
/// The longest head, in bytes.
const HEAD_MAX: u32 = 4 * 1024;
/// So much of the hash is in the name, in digits.
const NAMED: usize = 16;

/// The folder of kept files.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    dir: PathBuf,
    sealer: EnvelopeSealer,
}

/// What stands in clear before the sealed pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) kind: String,
    pub(crate) owner: String,
    pub(crate) about: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Kept {
    pub(crate) fn new(dir: PathBuf, sealer: EnvelopeSealer) -> Kept {
        Kept { dir, sealer }
    }

    /// The heads of all files with their names, by name.
    pub(crate) fn list(&self) -> anyhow::Result<Vec<(String, Head)>> {
        let mut found = Vec::new();
        for kind in folders(&self.dir)? {
            for owner in folders(&kind)? {
                for file in entries(&owner)? {
                    if file.extension().is_none_or(|end| end != "sealed") {
                        continue;
                    }
                    let mut input = BufReader::new(open(&file)?);
                    let head = read_head(&mut input)
                        .with_context(|| format!("{} is damaged", file.display()))?;
                    let name = file.strip_prefix(&self.dir).unwrap_or(&file);
                    found.push((name.display().to_string(), head));
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    /// Unseals a file; its hash is that of the head afterwards.
    pub(crate) async fn unseal(
        &self,
        name: &str,
        out: &mut (dyn Write + Send),
    ) -> anyhow::Result<Head> {
        anyhow::ensure!(
            !name.split('/').any(|part| part == "..") && !name.starts_with('/'),
            "{name} is not the name of a kept file; `lingqian kept list` shows them"
        );
        let mut input = BufReader::new(open(&self.dir.join(name))?);
        let head = read_head(&mut input).with_context(|| format!("{name} is damaged"))?;
        let (mut hash, mut left) = (Context::new(&SHA256), head.bytes);
        for piece in 0_u64.. {
            let sealed = read_piece(&mut input, PIECE + SEAL_MAX)
                .with_context(|| format!("{name} is damaged: piece {piece} is not whole"))?;
            let (size, last) = piece_size(left);
            let opened = self
                .sealer
                .open(&purpose(&head, piece, last), &sealed)
                .await;
            let opened =
                opened.with_context(|| format!("{name} cannot be opened: its piece {piece}"))?;
            anyhow::ensure!(opened.len() == size, "{name} is damaged: piece {piece}");
            hash.update(&opened);
            out.write_all(&opened)?;
            left -= opened.len() as u64;
            if last {
                break;
            }
        }
        anyhow::ensure!(
            hex(hash.finish().as_ref()) == head.sha256,
            "{name} is damaged: its hash is another one"
        );
        Ok(head)
    }

    async fn get(&self, label: &Label, most: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let dir = self.dir.join(label.kind).join(&label.owner);
        let begin = format!("{}-", label.about);
        let named = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            let hash = name.and_then(|name| name.strip_prefix(&begin)?.strip_suffix(".sealed"));
            hash.is_some_and(|hash| hash.len() == NAMED)
        };
        let mut found: Vec<PathBuf> = entries(&dir)?.into_iter().filter(named).collect();
        found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
        let Some(path) = found.first() else {
            return Ok(None);
        };
        let head = read_head(&mut BufReader::new(open(path)?))?;
        if head.bytes > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let name = path.strip_prefix(&self.dir).unwrap_or(path);
        self.unseal(&name.display().to_string(), &mut bytes).await?;
        Ok(Some(bytes))
    }

    async fn put(&self, label: &Label, file: &mut File) -> anyhow::Result<String> {
        let (bytes, sha256) = hashed(file)?;
        let head = Head {
            kind: label.kind.to_owned(),
            owner: label.owner.clone(),
            about: label.about.clone(),
            bytes,
            sha256: sha256.clone(),
        };
        let dir = self.dir.join(label.kind).join(&label.owner);
        let named = sha256.get(..NAMED).unwrap_or_default();
        let path = dir.join(format!("{}-{named}.sealed", label.about));
        if path.exists() {
            return Ok(sha256);
        }
        fs::create_dir_all(&dir)?;
        // Processes of several machines may share the folder, so no process's number is enough.
        let part = path.with_extension(format!("part-{:016x}", fastrand::u64(..)));
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let mut out = BufWriter::new(options.open(&part)?);
        self.write(&head, file, &mut out).await?;
        out.into_inner()
            .map_err(|error| error.into_error())?
            .sync_all()?;
        // Who looks sees the whole file or none.
        fs::rename(&part, &path)?;
        File::open(&dir)?.sync_all()?;
        Ok(sha256)
    }

    async fn write(
        &self,
        head: &Head,
        file: &mut File,
        out: &mut (dyn Write + Send),
    ) -> anyhow::Result<()> {
        let text = serde_json::to_vec(head)?;
        out.write_all(MAGIC)?;
        out.write_all(&u32::try_from(text.len())?.to_be_bytes())?;
        out.write_all(&text)?;
        file.seek(SeekFrom::Start(0))?;
        let mut left = head.bytes;
        for piece in 0_u64.. {
            let (size, last) = piece_size(left);
            let mut plain = vec![0; size];
            file.read_exact(&mut plain)?;
            let sealed = self
                .sealer
                .seal(&purpose(head, piece, last), &plain)
                .await?;
            out.write_all(&u32::try_from(sealed.0.len())?.to_be_bytes())?;
            out.write_all(&sealed.0)?;
            left -= size as u64;
            if last {
                break;
            }
        }
        Ok(())
    }
}

impl Archive for Kept {
    fn keep<'a>(&'a self, label: &'a Label, file: &'a mut File) -> Waiting<'a, String> {
        Box::pin(async move {
            let kept = self.put(label, file).await;
            kept.map_err(|error| Fault::Retry(format!("a raw file was not kept: {error:#}")))
        })
    }

    fn recall<'a>(&'a self, label: &'a Label, most: u64) -> Waiting<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = self.get(label, most).await;
            found.map_err(|error| Fault::Broken(format!("kept_damaged: {error:#}")))
        })
    }
}

/// Each piece opens at its own place in its own file alone, and the last one says that it is.
fn purpose(head: &Head, piece: u64, last: bool) -> String {
    let Head {
        kind,
        owner,
        about,
        sha256,
        ..
    } = head;
    let end = if last { "last" } else { "more" };
    format!("kept/{kind}/{owner}/{about}/{sha256}/{piece}/{end}")
}

/// How long the next piece is, and whether it is the last.
fn piece_size(left: u64) -> (usize, bool) {
    let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
    (size, left <= PIECE as u64)
}

fn hashed(file: &mut File) -> anyhow::Result<(u64, String)> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut bytes, mut buffer) = (Context::new(&SHA256), 0_u64, vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex(hash.finish().as_ref())));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn read_head(input: &mut impl Read) -> anyhow::Result<Head> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    anyhow::ensure!(magic == *MAGIC, "it is not a kept file");
    let text = read_piece(input, HEAD_MAX as usize)?;
    Ok(serde_json::from_slice(&text.0)?)
}

fn read_piece(input: &mut impl Read, most: usize) -> anyhow::Result<Sealed> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    anyhow::ensure!(length <= most, "a piece is too long");
    let mut piece = vec![0; length];
    input.read_exact(&mut piece)?;
    Ok(Sealed(piece))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

fn entries(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(dir) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    };
    let paths: Result<Vec<PathBuf>, _> =
        read.map(|entry| entry.map(|entry| entry.path())).collect();
    Ok(paths?)
}

fn folders(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut entries = entries(dir)?;
    entries.retain(|path| path.is_dir());
    Ok(entries)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lingqian_keys::Keyring;

    fn label() -> Label {
        Label {
            kind: "bills",
            owner: "1900000109".into(),
            about: "2026-03-02-BASIC".into(),
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("room");
        file
    }

    fn kept(dir: &Path) -> Kept {
        let ring = Keyring::load_or_generate(&dir.join("keyring.json")).expect("a ring");
        Kept::new(dir.join("kept"), EnvelopeSealer::new(ring))
    }

    #[tokio::test]
    async fn files_are_kept_whole_and_sealed_and_come_back_as_they_were() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = kept(dir.path());
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let sha256 = kept.keep(&label(), &mut file(&bytes)).await.expect("kept");
            let again = kept.keep(&label(), &mut file(&bytes)).await.expect("known");
            assert_eq!(sha256, again);
            let name = format!(
                "bills/1900000109/2026-03-02-BASIC-{}.sealed",
                &sha256[..NAMED]
            );
            let mut opened = Vec::new();
            let head = kept.unseal(&name, &mut opened).await.expect("opens");
            assert!(opened == bytes, "{size}");
            assert_eq!((head.bytes, head.sha256), (size as u64, sha256));
        }
        assert_eq!(kept.list().expect("a list").len(), 6);
        assert!(
            kept.unseal("../keyring.json", &mut Vec::new())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_changed_shortened_or_exchanged_piece_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = kept(dir.path());
        let secret = "一行账单,".repeat(200_000);
        kept.keep(&label(), &mut file(secret.as_bytes()))
            .await
            .expect("kept");
        let (name, _) = kept.list().expect("a list").remove(0);
        let path = dir.path().join("kept").join(&name);
        let good = fs::read(&path).expect("bytes");
        let clear = &secret.as_bytes()[..60];
        assert!(!good.windows(clear.len()).any(|window| window == clear));
        let half = good.len() / 2;
        let mut changed = good.clone();
        changed[half] ^= 1;
        let mut renamed = good.clone();
        let at = good
            .windows(5)
            .position(|window| window == b"BASIC")
            .expect("its label");
        renamed[at] = b'C';
        for bad in [&changed, &renamed, &good[..half].to_vec()] {
            fs::write(&path, bad).expect("written");
            assert!(kept.unseal(&name, &mut Vec::new()).await.is_err());
        }
    }
}
