//! The rails of a merchant, as configuration and credentials say.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lingqian_core::id::{AppId, MchId};
use lingqian_keys::{EnvelopeSealer, MerchantKey, package};
use lingqian_wechat::settings::RailList;
use lingqian_wechat::socket::Identity;
use lingqian_wechat::v2::door::{Door, DoorSettings};
use lingqian_wechat::v2::sign::Method;
use lingqian_wechat::{Rails, WechatPay};

use crate::wire::ANSWER_WAIT;
use crate::world::{RealClock, RealDice};

/// Calls of the old API in a second.
const OLD_RATE: u32 = 30;

pub(crate) type Pay = Rails<MerchantKey, EnvelopeSealer, RealClock, RealDice>;

/// What the old API wants of a merchant.
pub(crate) struct OldAccount {
    /// The 32 characters that its messages are signed with.
    pub(crate) key: String,
    /// The address that its messages name as the caller's.
    pub(crate) ip: Option<String>,
    /// Who sends red packets, as the user reads it.
    pub(crate) sender: Option<String>,
    /// What opens `apiclient_cert.p12`, where it is not the merchant's number.
    pub(crate) password: Option<String>,
    /// Where the merchant's certificate is.
    pub(crate) dir: Option<PathBuf>,
}

/// Whose rails, and where WeChat is.
pub(crate) struct Place {
    pub(crate) base_url: String,
    pub(crate) mchid: MchId,
    pub(crate) app: Option<AppId>,
}

/// A merchant's rails; the old API is opened only where one of them needs it.
///
/// # Errors
/// When certificate or key of the old API are missing or cannot work.
pub(crate) fn rails(
    pay: WechatPay<MerchantKey, EnvelopeSealer, RealClock, RealDice>,
    rails: &RailList,
    old: Option<OldAccount>,
    place: Place,
) -> anyhow::Result<Pay> {
    let kinds = Rails::new(pay).on(rails.all().to_vec());
    let Some(old) = old else {
        return Ok(kinds);
    };
    let app = place
        .app
        .context("the v2 API wants an app of the merchant's")?;
    // A sandbox on this machine wants no certificate; to WeChat no door opens without it.
    let over_tls = place.base_url.starts_with("https://");
    let password = old.password.as_deref().unwrap_or(place.mchid.as_str());
    let identity = over_tls.then(|| identity(old.dir.as_deref(), password));
    let settings = DoorSettings {
        identity: identity.transpose()?,
        base_url: place.base_url,
        mchid: place.mchid,
        key: old.key,
        method: Method::Md5,
        app: app.to_string(),
        ip: old.ip.unwrap_or("127.0.0.1".into()),
        sender: old.sender.unwrap_or("零钱".into()),
        timeout: ANSWER_WAIT,
        rate: OLD_RATE,
    };
    let door = Door::open(settings).context("the v2 API of merchant.rail")?;
    Ok(kinds.through(door))
}

/// The merchant's certificate: in the two files of its package that are in PEM, or in the one that
/// holds both, which is opened with the merchant's number unless another password is named.
fn identity(dir: Option<&Path>, password: &str) -> anyhow::Result<Identity> {
    let dir = dir.context(
        "the v2 API wants apiclient_cert.p12, or apiclient_cert.pem and apiclient_key.pem: name \
         their directory under credentials",
    )?;
    let packed = dir.join("apiclient_cert.p12");
    if packed.exists() && !dir.join("apiclient_cert.pem").exists() {
        let file =
            fs::read(&packed).with_context(|| format!("cannot read {}", packed.display()))?;
        let opened = package::open(&file, password);
        let opened = opened.with_context(|| format!("{} cannot be used", packed.display()))?;
        return Ok(Identity {
            certificate: opened.certificates,
            key: opened.key.to_string(),
            roots: None,
        });
    }
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Identity {
        certificate: read("apiclient_cert.pem")?,
        key: read("apiclient_key.pem")?,
        roots: None,
    })
}
