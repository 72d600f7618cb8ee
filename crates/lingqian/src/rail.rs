//! The rails of a merchant, as configuration and credentials say.

use std::path::Path;

use anyhow::Context as _;
use lingqian_core::id::{AppId, MchId};
use lingqian_keys::{EnvelopeSealer, MerchantKey};
use lingqian_wechat::settings::RailList;
use lingqian_wechat::socket::Identity;
use lingqian_wechat::v2::door::{Door, DoorSettings};
use lingqian_wechat::v2::sign::Method;
use lingqian_wechat::{Rails, WechatPay};
use serde::Deserialize;

use crate::wire::{ANSWER_WAIT, read};
use crate::world::{RealClock, RealDice};

/// Calls of the old API in a second.
const OLD_RATE: u32 = 30;

pub(crate) type Pay = Rails<MerchantKey, EnvelopeSealer, RealClock, RealDice>;

/// What `credentials.json` says for the old API.
#[derive(Clone, Deserialize)]
pub(crate) struct OldAccount {
    /// The 32 characters that its messages are signed with.
    v2_key: Option<String>,
    /// The address that its messages name as the caller's.
    caller_ip: Option<String>,
    /// Who sends red packets, as the user reads it.
    red_packet_sender: Option<String>,
}

/// Whose rails, and where their files are.
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) base_url: String,
    pub(crate) mchid: &'a MchId,
    pub(crate) app: &'a AppId,
}

/// A merchant's rails; the old API is opened only where one of them needs it.
///
/// # Errors
/// When key or certificate of the old API are missing or cannot work.
pub(crate) fn rails(
    pay: WechatPay<MerchantKey, EnvelopeSealer, RealClock, RealDice>,
    rails: &RailList,
    account: &OldAccount,
    place: &Place<'_>,
) -> anyhow::Result<Pay> {
    let kinds = Rails::new(pay).on(rails.all().to_vec());
    if !rails.any_old() {
        return Ok(kinds);
    }
    let key = account.v2_key.clone().with_context(|| {
        format!(
            "merchant.rail needs the v2 key: put \"v2_key\" into {}/credentials.json",
            place.dir.display()
        )
    })?;
    let settings = DoorSettings {
        base_url: place.base_url.clone(),
        mchid: place.mchid.clone(),
        key,
        method: Method::Md5,
        ip: account.caller_ip.clone().unwrap_or("127.0.0.1".into()),
        sender: account.red_packet_sender.clone().unwrap_or("零钱".into()),
        timeout: ANSWER_WAIT,
        rate: OLD_RATE,
        // A sandbox on this machine wants none; to WeChat no door opens without it.
        identity: match place.base_url.starts_with("https://") {
            true => Some(identity(place.dir)?),
            false => None,
        },
    };
    let door = Door::open(settings).context("the v2 API of merchant.rail")?;
    Ok(kinds.through(door, place.app.clone()))
}

/// The merchant's certificate, in the two files of its package that are in PEM.
fn identity(dir: &Path) -> anyhow::Result<Identity> {
    Ok(Identity {
        certificate: read(dir, "apiclient_cert.pem")?,
        key: read(dir, "apiclient_key.pem")?,
        roots: None,
    })
}
