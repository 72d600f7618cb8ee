//! Certificates that change: WeChat's own, which it signs with, and the merchant's, which it
//! issues. They are made by the hands of whoever tests and kept in `certificates.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::{Whose, bad};
use crate::auth::Refused;
use crate::books::{rfc3339, wire_now};
use crate::crypto::{PrivateKey, seal, seal_to};
use crate::provision::{self, Provision};
use crate::world::World;

/// A platform certificate lives for five years.
const LIFE_S: i64 = 5 * 365 * 86_400;

/// One certificate of WeChat's.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Platform {
    serial: String,
    key_pem: String,
    cert_pem: String,
    from_ms: i64,
    until_ms: i64,
}

/// What is kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Kept {
    platforms: Vec<Platform>,
    /// The one that signs.
    signing: String,
    /// Whether the list is there at all; merchants of the public-key mode have none.
    hidden: bool,
    /// Public keys of the merchant, by serial number, beside the first one.
    merchants: BTreeMap<String, String>,
    /// Serial numbers of the merchant that are no longer accepted.
    retired: BTreeSet<String>,
}

/// The certificates of one merchant and those that WeChat has for it.
#[derive(Debug)]
pub(crate) struct Certs {
    path: PathBuf,
    kept: Kept,
    key: Arc<PrivateKey>,
    merchant: (String, Vec<u8>),
    asked: u64,
}

impl Certs {
    /// Reads what is kept, or begins with what was provisioned.
    pub(crate) fn open(dir: &Path, no: usize, provision: &Provision) -> anyhow::Result<Certs> {
        let path = dir.join(match no {
            1 => "certificates.json".to_owned(),
            no => format!("certificates-{no}.json"),
        });
        let credentials = &provision.credentials;
        let kept = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged", path.display()))?,
            Err(_) => Kept {
                platforms: vec![Platform {
                    serial: credentials.platform_serial.clone(),
                    key_pem: provision.platform_key_pem.clone(),
                    cert_pem: credentials.platform_cert_pem.clone(),
                    from_ms: 0,
                    until_ms: 4_102_444_800_000,
                }],
                signing: credentials.platform_serial.clone(),
                ..Kept::default()
            },
        };
        let block = pem::parse(&credentials.merchant_cert_pem)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(block.contents())?;
        let spki = certificate.public_key().raw.to_vec();
        let mut certs = Certs {
            path,
            key: Arc::new(PrivateKey::from_pem(&provision.platform_key_pem)?),
            kept,
            merchant: (credentials.merchant_serial.clone(), spki),
            asked: 0,
        };
        certs.sign_with(&certs.kept.signing.clone())?;
        Ok(certs)
    }

    fn sign_with(&mut self, serial: &str) -> anyhow::Result<()> {
        let found = self.kept.platforms.iter().find(|one| one.serial == serial);
        let found = found.context("there is no such platform certificate")?;
        self.key = Arc::new(PrivateKey::from_pem(&found.key_pem)?);
        self.kept.signing = found.serial.clone();
        Ok(())
    }

    fn save(&self) -> anyhow::Result<()> {
        provision::private_file(&self.path, &serde_json::to_vec_pretty(&self.kept)?)
    }

    /// The certificate that signs answers.
    pub(crate) fn signing(&self) -> (Arc<PrivateKey>, String) {
        (Arc::clone(&self.key), self.kept.signing.clone())
    }

    /// Opens a field that was sealed for any of WeChat's certificates.
    pub(crate) fn decrypt(&self, field: &str) -> Option<String> {
        let keys = self.kept.platforms.iter();
        keys.filter_map(|one| PrivateKey::from_pem(&one.key_pem).ok())
            .find_map(|key| key.decrypt(field))
    }

    /// A name as answers carry it: sealed for the merchant.
    pub(crate) fn sealed_name(&self, name: &str) -> Option<String> {
        seal_to(&self.merchant.1, name)
    }

    /// Whether there is a platform certificate of that serial number.
    pub(crate) fn has(&self, serial: &str) -> bool {
        self.kept.platforms.iter().any(|one| one.serial == serial)
    }

    /// The same for the one of a serial number.
    pub(crate) fn decrypt_by(&self, serial: &str, field: &str) -> Option<String> {
        let mut keys = self.kept.platforms.iter();
        let found = keys.find(|one| one.serial == serial)?;
        PrivateKey::from_pem(&found.key_pem).ok()?.decrypt(field)
    }

    /// The merchant's public key of a serial number that is accepted.
    pub(crate) fn merchant(&self, serial: &str) -> Option<Vec<u8>> {
        let serial = serial.to_ascii_uppercase();
        if self.kept.retired.contains(&serial) {
            return None;
        }
        if serial == self.merchant.0 {
            return Some(self.merchant.1.clone());
        }
        let public = self.kept.merchants.get(&serial)?;
        pem::parse(public).ok().map(pem::Pem::into_contents)
    }

    /// `GET /v3/certificates`.
    pub(crate) fn list(&mut self, apiv3_key: &str) -> Result<Value, Refused> {
        self.asked += 1;
        if self.kept.hidden {
            let words = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥";
            return Err(Refused::new(404, "RESOURCE_NOT_EXISTS", words));
        }
        let shown = self.kept.platforms.iter().map(|one| {
            let (nonce, ciphertext) = seal(apiv3_key, "certificate", one.cert_pem.as_bytes());
            json!({
                "serial_no": one.serial,
                "effective_time": rfc3339(one.from_ms),
                "expire_time": rfc3339(one.until_ms),
                "encrypt_certificate": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "nonce": nonce,
                    "associated_data": "certificate",
                    "ciphertext": ciphertext,
                },
            })
        });
        Ok(json!({ "data": shown.collect::<Vec<Value>>() }))
    }

    fn shown(&self) -> Value {
        let serials = |one: &Platform| one.serial.clone();
        json!({
            "platform": self.kept.platforms.iter().map(serials).collect::<Vec<_>>(),
            "signing": self.kept.signing,
            "hidden": self.kept.hidden,
            "asked": self.asked,
            "merchant": self.kept.merchants.keys().collect::<Vec<_>>(),
            "retired": self.kept.retired,
        })
    }
}

/// What may be changed; what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Makes a platform certificate, beside those that are there.
    #[serde(default)]
    make: bool,
    /// It is valid for so many seconds; below zero it has expired already.
    valid_seconds: Option<i64>,
    /// The new one, or that of a serial number, signs from now on.
    #[serde(default)]
    sign: bool,
    serial: Option<String>,
    /// Whether the list answers 404.
    hidden: Option<bool>,
    /// The merchant's certificate of this serial number is not accepted any more.
    retire: Option<String>,
    /// And is again.
    restore: Option<String>,
    /// Issues a certificate of the merchant for this request (PKCS#10 in PEM).
    request: Option<String>,
}

/// The certificates.
pub(crate) async fn certificates(
    State(world): State<Arc<World>>,
    Query(whose): Query<Whose>,
) -> Response {
    match world.named(whose.mchid.as_deref()) {
        Ok(member) => Json(member.certs().shown()).into_response(),
        Err(words) => bad(&words),
    }
}

/// Changes them.
pub(crate) async fn change(
    State(world): State<Arc<World>>,
    Query(whose): Query<Whose>,
    Json(change): Json<Change>,
) -> Response {
    let member = match world.named(whose.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let mut certs = member.certs();
    match changed(&mut certs, change) {
        Ok(issued) => {
            let mut shown = certs.shown();
            if let Some((serial, certificate)) = issued {
                shown["issued"] = json!({ "serial": serial, "certificate": certificate });
            }
            Json(shown).into_response()
        }
        Err(error) => {
            let words = json!({ "error": format!("{error:#}") });
            (StatusCode::BAD_REQUEST, Json(words)).into_response()
        }
    }
}

fn changed(certs: &mut Certs, change: Change) -> anyhow::Result<Option<(String, String)>> {
    let mut serial = change.serial;
    if change.make {
        let now_s = wire_now() / 1_000;
        let until_s = now_s + change.valid_seconds.unwrap_or(LIFE_S);
        // One that has expired began long before.
        let from_s = now_s.min(until_s) - 60;
        let made = provision::make_between("Tenpay.com sign", Some((from_s, until_s)))?;
        serial = Some(made.serial.clone());
        certs.kept.platforms.push(Platform {
            serial: made.serial,
            key_pem: made.key_pem,
            cert_pem: made.cert_pem,
            from_ms: from_s * 1_000,
            until_ms: until_s * 1_000,
        });
    }
    if let (true, Some(serial)) = (change.sign, &serial) {
        certs.sign_with(serial)?;
    }
    if let Some(hidden) = change.hidden {
        certs.kept.hidden = hidden;
    }
    if let Some(serial) = change.retire {
        certs.kept.retired.insert(serial.to_ascii_uppercase());
    }
    if let Some(serial) = change.restore {
        certs.kept.retired.remove(&serial.to_ascii_uppercase());
    }
    let issued = change.request.map(|request| provision::issue(&request));
    let issued = issued.transpose()?;
    let answer = issued.map(|issued| {
        let certificate = (issued.serial.clone(), issued.cert_pem);
        certs
            .kept
            .merchants
            .insert(issued.serial, issued.public_pem);
        certificate
    });
    certs.save()?;
    Ok(answer)
}
