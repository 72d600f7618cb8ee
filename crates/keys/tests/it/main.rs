//! Keys against the `openssl` command line, and sealing against tampering.

mod package;
mod token;

use std::path::Path;
use std::process::Command;

use lingqian_io::keys::KeyFault;
use lingqian_io::{Sealed, Sealer, Signer};
use lingqian_keys::{EnvelopeSealer, Keyring, SoftwareSigner};

fn openssl(dir: &Path, arguments: &[&str]) {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output();
    let done = done.expect("openssl is installed");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn key_files(dir: &Path) {
    openssl(
        dir,
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "8",
        ],
    );
    openssl(dir, &["rsa", "-in", "8", "-traditional", "-out", "1"]);
    openssl(dir, &["pkey", "-in", "8", "-pubout", "-out", "public"]);
}

#[tokio::test]
async fn openssl_accepts_our_signatures_with_a_key_of_either_form() {
    let dir = tempfile::tempdir().expect("a directory");
    key_files(dir.path());
    for form in ["8", "1"] {
        let text = std::fs::read_to_string(dir.path().join(form)).expect("written");
        let signer = SoftwareSigner::from_pem(&text, "5157f09efdc096de").expect("a key");
        assert_eq!(signer.serial(), "5157F09EFDC096DE");
        let signature = signer.sign("零钱\n".as_bytes()).await.expect("signed");
        std::fs::write(dir.path().join("message"), "零钱\n").expect("written");
        std::fs::write(dir.path().join("signature"), signature).expect("written");
        let verify = [
            "dgst",
            "-sha256",
            "-verify",
            "public",
            "-signature",
            "signature",
            "message",
        ];
        openssl(dir.path(), &verify);
    }
}

#[tokio::test]
async fn what_openssl_encrypts_to_the_key_opens() {
    let dir = tempfile::tempdir().expect("a directory");
    key_files(dir.path());
    std::fs::write(dir.path().join("plain"), "张三").expect("written");
    let encrypt = "pkeyutl -encrypt -pubin -inkey public -in plain -out sealed \
                   -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1";
    openssl(dir.path(), &encrypt.split_whitespace().collect::<Vec<_>>());
    let text = std::fs::read_to_string(dir.path().join("8")).expect("written");
    let signer = SoftwareSigner::from_pem(&text, "00").expect("a key");
    let mut sealed = std::fs::read(dir.path().join("sealed")).expect("written");
    assert_eq!(
        signer.decrypt(&sealed).await.expect("opens"),
        "张三".as_bytes()
    );
    sealed[10] ^= 1;
    assert_eq!(signer.decrypt(&sealed).await, Err(KeyFault::Tampered));
}

#[test]
fn what_is_not_a_private_key_is_refused_in_words() {
    for text in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let fault = SoftwareSigner::from_pem(text, "00").expect_err("not a key");
        assert!(fault.to_string().contains("the private key is"), "{fault}");
    }
}

#[tokio::test]
async fn a_sealed_value_opens_for_its_purpose_only_and_shows_every_change() {
    let sealer = EnvelopeSealer::new(Keyring::generate().expect("a ring"));
    let sealed = sealer
        .seal("name", "张三".as_bytes())
        .await
        .expect("sealed");
    assert_eq!(
        sealer.open("name", &sealed).await.expect("opens"),
        "张三".as_bytes()
    );
    assert_eq!(
        sealer.open("tokens", &sealed).await,
        Err(KeyFault::Tampered)
    );
    for index in 0..sealed.0.len() {
        let mut changed = sealed.0.clone();
        changed[index] ^= 1;
        assert!(
            sealer.open("name", &Sealed(changed)).await.is_err(),
            "byte {index}"
        );
        let cut = Sealed(sealed.0[..index].to_vec());
        assert!(sealer.open("name", &cut).await.is_err(), "cut at {index}");
    }
}

#[tokio::test]
async fn a_ring_survives_its_file_and_old_values_open_after_a_rotation() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring");
    let mut ring = Keyring::load_or_generate(&path).expect("made");
    let sealed = EnvelopeSealer::new(ring.clone())
        .seal("name", b"a")
        .await
        .expect("sealed");
    ring.rotate().expect("rotated");
    ring.save(&path).expect("saved");
    let sealer = EnvelopeSealer::new(Keyring::load_or_generate(&path).expect("read"));
    assert_eq!(sealer.open("name", &sealed).await.expect("opens"), b"a");
    let newer = sealer.seal("name", b"b").await.expect("sealed");
    let key = |sealed: &Sealed| sealed.0[2..4].to_vec();
    assert_eq!(
        (key(&sealed), key(&newer)),
        (b"k1".to_vec(), b"k2".to_vec())
    );
    let stranger = EnvelopeSealer::new(Keyring::generate().expect("a ring"));
    assert_eq!(
        stranger.open("name", &newer).await,
        Err(KeyFault::Unknown("k2".into()))
    );
}

#[test]
fn two_first_starts_at_once_end_with_the_same_ring() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring");
    let load = || Keyring::load_or_generate(&path).expect("made or read");
    for _ in 0..20 {
        let (one, other) = std::thread::scope(|threads| {
            let (one, other) = (threads.spawn(load), threads.spawn(load));
            (
                one.join().expect("no panic"),
                other.join().expect("no panic"),
            )
        });
        let (one, other) = (EnvelopeSealer::new(one), EnvelopeSealer::new(other));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let sealed = runtime.block_on(one.seal("name", b"a")).expect("sealed");
        assert_eq!(
            runtime
                .block_on(other.open("name", &sealed))
                .expect("opens"),
            b"a"
        );
        std::fs::remove_file(&path).expect("removed");
    }
    let left = std::fs::read_dir(dir.path()).expect("reads").count();
    assert_eq!(left, 0, "nothing is left lying about");
}
