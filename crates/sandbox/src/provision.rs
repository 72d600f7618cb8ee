//! Merchants, each with an app of its own, made on first use and kept.
//!
//! The first is in `provision.json`, the second in `provision-2.json`, and so on.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, Issuer, KeyPair, PKCS_RSA_SHA256,
    PublicKeyData as _, RsaKeySize, SerialNumber,
};
use serde::{Deserialize, Serialize};

use crate::crypto::{hex, random_text, sha256};

/// What a client needs in order to talk to the sandbox.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Credentials {
    /// The merchant's number.
    pub mchid: String,
    /// The app's id.
    pub appid: String,
    /// The app's secret.
    pub app_secret: String,
    /// The serial number of the merchant's certificate, in upper hex.
    pub merchant_serial: String,
    /// 32 characters; seals notifications and certificates.
    pub apiv3_key: String,
    /// 32 characters; signs messages of the old API.
    pub v2_key: String,
    /// The id of WeChat's public key, `PUB_KEY_ID_…`.
    pub public_key_id: String,
    /// The serial number of WeChat's platform certificate, in upper hex.
    pub platform_serial: String,
    /// The merchant's private key, PKCS#8 in PEM.
    pub merchant_key_pem: String,
    /// The merchant's certificate in PEM.
    pub merchant_cert_pem: String,
    /// WeChat's platform certificate in PEM.
    pub platform_cert_pem: String,
    /// WeChat's public key in PEM.
    pub public_key_pem: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("mchid", &self.mchid)
            .field("appid", &self.appid)
            .finish_non_exhaustive()
    }
}

/// The same with WeChat's own secrets.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Provision {
    #[serde(flatten)]
    pub(crate) credentials: Credentials,
    pub(crate) platform_key_pem: String,
    pub(crate) public_key_private_pem: String,
    /// Authenticates tokens of bills and packages.
    pub(crate) secret: String,
}

/// A key and its certificate.
pub(crate) struct Made {
    pub(crate) serial: String,
    pub(crate) key_pem: String,
    pub(crate) cert_pem: String,
    pub(crate) public_pem: String,
}

/// A certificate of the merchant for its own request, as WeChat's authority issues it.
pub(crate) struct Issued {
    pub(crate) serial: String,
    pub(crate) cert_pem: String,
    pub(crate) public_pem: String,
}

/// Issues a certificate for a request whose signature proves that the sender has the key.
pub(crate) fn issue(request: &str) -> anyhow::Result<Issued> {
    let mut wanted = CertificateSigningRequestParams::from_pem(request)
        .context("that is no certificate request")?;
    let (serial, number) = new_serial();
    wanted.params.serial_number = Some(number);
    let authority = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Tenpay.com Root CA");
    let public = pem::Pem::new("PUBLIC KEY", wanted.public_key.subject_public_key_info());
    let certificate = wanted.signed_by(&Issuer::new(params, authority))?;
    Ok(Issued {
        serial,
        cert_pem: certificate.pem(),
        public_pem: pem::encode(&public),
    })
}

fn new_serial() -> (String, SerialNumber) {
    let mut serial = sha256(random_text(32).as_bytes());
    serial.truncate(20);
    // Between 0x10 and 0x7f, so that the number is positive and has forty digits.
    serial[0] = (serial[0] & 0x6f) | 0x10;
    let number = SerialNumber::from_slice(&serial);
    (hex(&serial).to_ascii_uppercase(), number)
}

fn make(common_name: &str) -> anyhow::Result<Made> {
    make_between(common_name, None)
}

/// The same, valid between two moments in Unix seconds.
pub(crate) fn make_between(common_name: &str, valid: Option<(i64, i64)>) -> anyhow::Result<Made> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let (serial, number) = new_serial();
    params.serial_number = Some(number);
    if let Some((from, until)) = valid {
        params.not_before = time::OffsetDateTime::from_unix_timestamp(from)?;
        params.not_after = time::OffsetDateTime::from_unix_timestamp(until)?;
    }
    let certificate = params.self_signed(&key)?;
    let public = pem::Pem::new("PUBLIC KEY", key.subject_public_key_info());
    Ok(Made {
        serial,
        key_pem: key.serialize_pem(),
        cert_pem: certificate.pem(),
        public_pem: pem::encode(&public),
    })
}

/// So many merchants are enough for a test.
const MERCHANTS_MAX: usize = 99;

fn file_of(dir: &Path, no: usize) -> PathBuf {
    dir.join(match no {
        1 => "provision.json".to_owned(),
        no => format!("provision-{no}.json"),
    })
}

impl Provision {
    fn generate() -> anyhow::Result<Provision> {
        let merchant = make("1900000109")?;
        let platform = make("Tenpay.com sign")?;
        let public = make("WeChat Pay public key")?;
        let digits: String = hex(&sha256(random_text(32).as_bytes()))
            .bytes()
            .take(28)
            .map(digit)
            .collect();
        let app = hex(&sha256(random_text(32).as_bytes()));
        Ok(Provision {
            credentials: Credentials {
                mchid: format!("19{}", &digits[..8]),
                appid: format!("wx{}", &app[..16]),
                app_secret: app[16..48].to_owned(),
                merchant_serial: merchant.serial,
                apiv3_key: random_text(32),
                v2_key: random_text(32),
                public_key_id: format!("PUB_KEY_ID_{digits}"),
                platform_serial: platform.serial,
                merchant_key_pem: merchant.key_pem,
                merchant_cert_pem: merchant.cert_pem,
                platform_cert_pem: platform.cert_pem,
                public_key_pem: public.public_pem,
            },
            platform_key_pem: platform.key_pem,
            public_key_private_pem: public.key_pem,
            secret: random_text(32),
        })
    }

    /// Reads those that are in the directory, by their numbers.
    pub(crate) fn load_all(dir: &Path) -> anyhow::Result<Vec<Provision>> {
        let there = (1..=MERCHANTS_MAX).take_while(|no| file_of(dir, *no).exists());
        there.map(|no| Provision::load(dir, no)).collect()
    }

    /// Reads the one of that number, or makes it and those before it.
    pub(crate) fn load(dir: &Path, no: usize) -> anyhow::Result<Provision> {
        anyhow::ensure!(
            (1..=MERCHANTS_MAX).contains(&no),
            "a sandbox has at most {MERCHANTS_MAX} merchants, the first of which is number 1"
        );
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        if no > 1 && !file_of(dir, no - 1).exists() {
            Provision::load(dir, no - 1)?;
        }
        let path = file_of(dir, no);
        if !path.exists() {
            let text = serde_json::to_vec_pretty(&Provision::generate()?)?;
            new_file(&path, &text)?;
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a sandbox's", path.display()))
    }
}

fn digit(byte: u8) -> char {
    char::from(b'0' + byte % 10)
}

/// Makes a file whole, unless somebody else was quicker: then theirs counts.
fn new_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let made = path.with_extension(format!("made-{}", random_text(8)));
    private_file(&made, bytes)?;
    let linked = fs::hard_link(&made, path);
    fs::remove_file(&made)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot write {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file whole; only its owner may read it.
pub(crate) fn private_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension(format!("part-{}", random_text(8)));
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

impl Credentials {
    /// Reads the credentials of the first merchant of the sandbox in a directory; makes them on
    /// first use.
    ///
    /// # Errors
    /// When the directory can be neither read nor written.
    pub fn load(dir: &Path) -> anyhow::Result<Credentials> {
        Credentials::of(dir, 1)
    }

    /// The same of the merchant of that number, counted from 1. A sandbox that runs already knows
    /// a new one as soon as it calls.
    ///
    /// # Errors
    /// When the directory can be neither read nor written, or there are not so many merchants.
    pub fn of(dir: &Path, no: usize) -> anyhow::Result<Credentials> {
        Ok(Provision::load(dir, no)?.credentials)
    }

    /// The number of the merchant in the sandbox of a directory.
    ///
    /// # Errors
    /// When the directory cannot be read or has no such merchant.
    pub fn number_of(dir: &Path, mchid: &str) -> anyhow::Result<usize> {
        let all = Provision::load_all(dir)?;
        let found = all.iter().position(|one| one.credentials.mchid == mchid);
        let found = found.with_context(|| format!("this sandbox has no merchant {mchid}"))?;
        Ok(found + 1)
    }

    /// Writes them as the files that clients of WeChat Pay read: `credentials.json`,
    /// `apiclient_key.pem`, `apiclient_cert.pem`, `platform_cert.pem` and `pub_key.pem`.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write_files(&self, dir: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let text = serde_json::to_vec_pretty(&serde_json::json!({
            "mchid": self.mchid,
            "appid": self.appid,
            "app_secret": self.app_secret,
            "merchant_serial": self.merchant_serial,
            "apiv3_key": self.apiv3_key,
            "v2_key": self.v2_key,
            "public_key_id": self.public_key_id,
            "platform_serial": self.platform_serial,
        }))?;
        private_file(&dir.join("credentials.json"), &text)?;
        private_file(
            &dir.join("apiclient_key.pem"),
            self.merchant_key_pem.as_bytes(),
        )?;
        private_file(
            &dir.join("apiclient_cert.pem"),
            self.merchant_cert_pem.as_bytes(),
        )?;
        private_file(
            &dir.join("platform_cert.pem"),
            self.platform_cert_pem.as_bytes(),
        )?;
        private_file(&dir.join("pub_key.pem"), self.public_key_pem.as_bytes())
    }
}
