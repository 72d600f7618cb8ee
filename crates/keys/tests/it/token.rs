//! A token of SoftHSM: the same signatures, keys that stay in, and every way to be locked out.
//!
//! A PKCS#11 library is initialised once per process, and finds its tokens by the environment; so
//! each test calls this program again for itself alone, with a token of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use lingqian_io::keys::KeyFault;
use lingqian_io::{Sealer as _, Signer as _};
use lingqian_keys::token::init;
use lingqian_keys::{
    EnvelopeSealer, Keyring, PinSource, SoftwareSigner, Subject, Token, TokenSettings, TokenSigner,
    certificate_request, public_key_pem,
};

use super::{key_files, openssl};

const PIN: &str = "271828182845";
const LABEL: &str = "lingqian-test";
const PLACE: &str = "LINGQIAN_TEST_TOKEN";

/// The library of SoftHSM, where Debian and others put it.
fn module() -> PathBuf {
    let known = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let found = known.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("softhsm2 is installed; `cargo xtask test` installs it")
}

/// Runs a test of this name in a process of its own and answers nothing, or, in that process, the
/// directory of its token.
fn alone(name: &str) -> Option<PathBuf> {
    if let Some(place) = std::env::var_os(PLACE) {
        return Some(place.into());
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("tokens")).expect("made");
    let conf = dir.path().join("softhsm2.conf");
    let tokens = dir.path().join("tokens");
    let text = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&conf, text).expect("written");
    let done = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("token::{name}"), "--nocapture"])
        .env(PLACE, dir.path())
        .env("SOFTHSM2_CONF", conf)
        .output()
        .expect("it runs");
    let (said, erred) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{said}{erred}");
    assert!(said.contains("1 passed"), "{said}");
    assert!(
        !said.contains(PIN) && !erred.contains(PIN),
        "the PIN was printed"
    );
    for line in said.lines().filter(|line| line.contains("a second")) {
        println!("{line}");
    }
    None
}

fn settings(dir: &Path) -> TokenSettings {
    TokenSettings {
        module: module(),
        label: LABEL.into(),
        pin: PinSource::File(dir.join("pin")),
        sessions: 2,
    }
}

/// A token with a PIN.
fn prepared(dir: &Path) -> Token {
    std::fs::write(dir.join("pin"), format!("{PIN}\n")).expect("written");
    std::fs::write(dir.join("officer"), "31415926\n").expect("written");
    let officer = PinSource::File(dir.join("officer"));
    init(
        &module(),
        LABEL,
        &officer,
        &PinSource::File(dir.join("pin")),
    )
    .expect("prepared");
    Token::open(settings(dir)).expect("open")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Puts the key of a PKCS#8 file into the token, as a vendor's tool would.
fn import(dir: &Path, label: &str) {
    let import = Command::new("softhsm2-util")
        .args(["--import", "8", "--token", LABEL, "--label", label])
        .args(["--id", "A1", "--pin", PIN])
        .current_dir(dir)
        .output()
        .expect("softhsm2-util is installed");
    assert!(
        import.status.success(),
        "{}",
        String::from_utf8_lossy(&import.stderr)
    );
}

#[test]
fn an_imported_key_signs_to_the_byte_as_the_software_key_does() {
    let Some(dir) = alone("an_imported_key_signs_to_the_byte_as_the_software_key_does") else {
        return;
    };
    let token = prepared(&dir);
    key_files(&dir);
    import(&dir, "merchant");
    let pem = std::fs::read_to_string(dir.join("8")).expect("written");
    let software = SoftwareSigner::from_pem(&pem, "AB").expect("a key");
    let signer = TokenSigner::new(token.clone(), "merchant", "ab");
    assert_eq!(signer.serial(), "AB");
    block_on(async {
        for message in ["", "GET\n/v3/certificates\n1\nN\n\n", "零钱\n"] {
            let expected = software.sign(message.as_bytes()).await.expect("signed");
            let signed = signer.sign(message.as_bytes()).await.expect("signed");
            assert_eq!(signed, expected, "{message:?}");
        }
        let public = public_key_pem(&token, "merchant").await.expect("public");
        let theirs = std::fs::read_to_string(dir.join("public")).expect("written");
        let der = |text: &str| pem::parse(text).expect("PEM").into_contents();
        assert_eq!(der(&public), der(&theirs));
    });
    std::fs::write(dir.join("plain"), "张三").expect("written");
    let encrypt = "pkeyutl -encrypt -pubin -inkey public -in plain -out sealed \
                   -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1";
    openssl(&dir, &encrypt.split_whitespace().collect::<Vec<_>>());
    let mut sealed = std::fs::read(dir.join("sealed")).expect("written");
    block_on(async {
        let opened = signer.decrypt(&sealed).await.expect("opens");
        assert_eq!(opened, "张三".as_bytes());
        sealed[10] ^= 1;
        assert_eq!(signer.decrypt(&sealed).await, Err(KeyFault::Tampered));
    });
    speed(&signer, &software);
}

/// What each of the two does in a second, printed for whoever wants to know.
fn speed(token: &TokenSigner, software: &SoftwareSigner) {
    let rate = |name: &str, done: u32, began: Instant| {
        let a_second = f64::from(done) / began.elapsed().as_secs_f64();
        println!("{name}: {a_second:.0} signatures a second");
        assert!(a_second > 1.0);
    };
    block_on(async {
        let began = Instant::now();
        for _ in 0..400 {
            software.sign(b"m").await.expect("signed");
        }
        rate("software, one at a time", 400, began);
        let began = Instant::now();
        for _ in 0..400 {
            token.sign(b"m").await.expect("signed");
        }
        rate("token, one at a time", 400, began);
        let began = Instant::now();
        for _ in 0..100 {
            let four = tokio::join!(
                token.sign(b"m"),
                token.sign(b"m"),
                token.sign(b"m"),
                token.sign(b"m")
            );
            four.0.expect("signed");
        }
        rate("token, four at a time over two sessions", 400, began);
    });
}

#[test]
fn a_key_made_in_the_token_cannot_be_read_and_openssl_accepts_what_it_signs() {
    let name = "a_key_made_in_the_token_cannot_be_read_and_openssl_accepts_what_it_signs";
    let Some(dir) = alone(name) else { return };
    let token = prepared(&dir);
    block_on(async {
        token.generate("made").await.expect("made");
        let again = token.generate("made").await.expect_err("taken");
        assert!(
            again.to_string().contains("has a key named made already"),
            "{again}"
        );
        let public = public_key_pem(&token, "made").await.expect("public");
        std::fs::write(dir.join("public"), public).expect("written");
        let signature = token.sign("made", b"m").await.expect("signed");
        std::fs::write(dir.join("signature"), signature).expect("written");
        std::fs::write(dir.join("message"), "m").expect("written");
        let subject = Subject {
            mchid: "1900000109".into(),
            organization: Some("零钱有限公司".into()),
        };
        let request = certificate_request(&token, "made", subject)
            .await
            .expect("made");
        std::fs::write(dir.join("request"), request).expect("written");
        let nobody = token.sign("nobody", b"m").await;
        assert_eq!(nobody, Err(KeyFault::Unknown("nobody".into())));
    });
    let verify = "dgst -sha256 -verify public -signature signature message";
    openssl(&dir, &verify.split(' ').collect::<Vec<_>>());
    openssl(&dir, &["req", "-in", "request", "-verify", "-noout"]);
    let out = Command::new("openssl")
        .args(["req", "-in", "request", "-noout", "-subject"])
        .current_dir(&dir)
        .output()
        .expect("openssl is installed");
    assert!(String::from_utf8_lossy(&out.stdout).contains("1900000109"));
    cannot_be_read("made");
}

/// Whoever is logged in asks for the private exponent and for the flags.
fn cannot_be_read(label: &str) {
    let module = Pkcs11::new(module()).expect("loaded");
    // The process has it initialised already; this is the same library.
    let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = module.get_slots_with_initialized_token().expect("slots");
    let session = module.open_ro_session(slots[0]).expect("a session");
    let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
    let wanted = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Label(label.into()),
    ];
    let key = session.find_objects(&wanted).expect("looked")[0];
    let flags = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
    ];
    assert_eq!(
        session.get_attributes(key, &flags).expect("flags"),
        [
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
        ]
    );
    let secret = [AttributeType::PrivateExponent, AttributeType::Prime1];
    let read = session.get_attributes(key, &secret).unwrap_or_default();
    assert_eq!(read, [], "the private numbers stay in");
}

#[test]
fn a_wrong_pin_is_tried_once_and_a_corrected_one_is_taken_without_a_restart() {
    let name = "a_wrong_pin_is_tried_once_and_a_corrected_one_is_taken_without_a_restart";
    let Some(dir) = alone(name) else { return };
    block_on(prepared(&dir).generate("made")).expect("made");
    // The first token's threads are gone with it; wait until nobody is logged in any more.
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(dir.join("pin"), "999999\n").expect("written");
    let token = Token::open(settings(&dir)).expect("open");
    block_on(async {
        for _ in 0..3 {
            let fault = token.sign("made", b"m").await.expect_err("wrong");
            assert!(matches!(fault, KeyFault::Broken(_)), "{fault:?}");
            let words = fault.to_string();
            assert!(words.contains("refused the PIN of the file"), "{words}");
            assert!(words.contains("not tried again"), "{words}");
            assert!(!words.contains("999999"), "{words}");
        }
        std::fs::write(dir.join("pin"), "\n").expect("written");
        let fault = token.sign("made", b"m").await.expect_err("empty");
        assert!(fault.to_string().contains("there is no PIN"), "{fault}");
        std::fs::write(dir.join("pin"), format!("{PIN}\n")).expect("written");
        token
            .sign("made", b"m")
            .await
            .expect("the corrected PIN works");
    });
}

#[test]
fn a_token_that_is_not_there_is_waited_for() {
    let Some(dir) = alone("a_token_that_is_not_there_is_waited_for") else {
        return;
    };
    std::fs::write(dir.join("pin"), PIN).expect("written");
    let early = Token::open(settings(&dir)).expect("opens without its token");
    block_on(async {
        let fault = early.sign("made", b"m").await.expect_err("absent");
        assert!(matches!(&fault, KeyFault::Away(_)), "{fault:?}");
        let words = fault.to_string();
        assert!(
            words.contains("no token named lingqian-test is there"),
            "{words}"
        );
        prepared(&dir).generate("made").await.expect("made");
        let fault = early.sign("made", b"m").await.expect_err("too soon");
        assert!(fault.to_string().contains("a moment ago"), "{fault}");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        early.sign("made", b"m").await.expect("it is there now");
    });
}

#[test]
fn a_module_that_is_none_is_named() {
    let Some(dir) = alone("a_module_that_is_none_is_named") else {
        return;
    };
    std::fs::write(dir.join("pin"), PIN).expect("written");
    for (path, words) in [
        ("absent.so", "cannot be read"),
        ("pin", "is no such library"),
    ] {
        let settings = TokenSettings {
            module: dir.join(path),
            ..settings(&dir)
        };
        let token = Token::open(settings).expect("open");
        let fault = block_on(token.sign("made", b"m")).expect_err("no library");
        assert!(matches!(fault, KeyFault::Broken(_)), "{fault:?}");
        assert!(fault.to_string().contains(words), "{fault}");
    }
}

#[test]
fn sessions_that_are_closed_behind_our_back_are_opened_again() {
    let Some(dir) = alone("sessions_that_are_closed_behind_our_back_are_opened_again") else {
        return;
    };
    let token = prepared(&dir);
    block_on(async {
        token.generate("made").await.expect("made");
        let first = token.sign("made", b"m").await.expect("signed");
        // The same library in this process: whoever logs out logs everybody out.
        let module = Pkcs11::new(module()).expect("loaded");
        let slots = module.get_slots_with_initialized_token().expect("slots");
        let session = module.open_ro_session(slots[0]).expect("a session");
        session.logout().expect("everybody is logged out");
        let again = token.sign("made", b"m").await.expect("logged in again");
        assert_eq!(first, again);
    });
}

#[test]
fn a_sealing_key_of_the_token_seals_and_the_file_still_opens_what_it_sealed() {
    let name = "a_sealing_key_of_the_token_seals_and_the_file_still_opens_what_it_sealed";
    let Some(dir) = alone(name) else { return };
    let token = prepared(&dir);
    let ring = Keyring::generate().expect("a ring");
    let before = EnvelopeSealer::new(ring.clone());
    let after = EnvelopeSealer::new(ring).in_token(token.clone(), "seal");
    block_on(async {
        token.generate_sealing("seal").await.expect("made");
        let old = before.seal("name", b"old").await.expect("sealed");
        let new = after.seal("name", "张三".as_bytes()).await.expect("sealed");
        assert_eq!(&new.0[2..12], b"token:seal");
        assert_eq!(after.open("name", &old).await.expect("opens"), b"old");
        assert_eq!(
            after.open("name", &new).await.expect("opens"),
            "张三".as_bytes()
        );
        assert_eq!(after.open("tokens", &new).await, Err(KeyFault::Tampered));
        let unknown = Err(KeyFault::Unknown("token:seal".into()));
        assert_eq!(before.open("name", &new).await, unknown);
        let mut changed = new.clone();
        let last = changed.0.len() - 1;
        changed.0[last] ^= 1;
        assert_eq!(after.open("name", &changed).await, Err(KeyFault::Tampered));
        let status = token.status().expect("it is there");
        assert_eq!(
            (status.login, status.sealing_keys),
            (None, vec!["seal".to_owned()])
        );
    });
}
