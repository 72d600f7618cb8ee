//! What has to be known about a merchant and an app at WeChat.

use std::fmt;
use std::time::Duration;

use lingqian_core::id::{AppId, MchId};
use lingqian_io::rail::AppKind;
use serde::Deserialize;

/// A merchant at WeChat Pay.
#[derive(Clone)]
pub struct PaySettings {
    /// `https://api.mch.weixin.qq.com`, or a sandbox.
    pub base_url: String,
    /// The same by another way, `https://api2.mch.weixin.qq.com`, for when the network fails.
    pub backup_url: Option<String>,
    /// The merchant.
    pub mchid: MchId,
    /// Where notifications are to be sent; https and without a query in production.
    pub notify_url: String,
    /// The 32 bytes that notifications are sealed with.
    pub apiv3_key: Vec<u8>,
    /// An answer that has not come after this is unknown.
    pub timeout: Duration,
    /// How many calls of each kind a second.
    pub rates: Rates,
}

/// Calls per second, by endpoint. WeChat's published limits are the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Creating transfers.
    pub create: u32,
    /// Querying transfers.
    pub query: u32,
    /// Asking for authorizations, querying and closing them.
    pub authorize: u32,
    /// Querying batches and their items.
    pub batch_query: u32,
    /// Cancelling transfers.
    pub cancel: u32,
    /// Applying for bills.
    pub bill: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            create: 100,
            query: 100,
            authorize: 50,
            batch_query: 50,
            cancel: 20,
            bill: 3,
        }
    }
}

/// Which of WeChat's products carries a merchant's payouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RailKind {
    /// The transfer of 2025; the user confirms.
    #[default]
    Transfer,
    /// The same for people who granted an authorization; the others confirm and are asked for one.
    Authorized,
    /// The batch transfer of 2021, one payout a batch; nobody confirms.
    Batch,
    /// The enterprise payment of 2014 (v2); it is paid when it is answered.
    Enterprise,
    /// The cash red packet (v2); the user opens it, or the money comes back after a day.
    RedPacket,
}

impl RailKind {
    /// Every kind.
    pub const ALL: [RailKind; 5] = [
        RailKind::Transfer,
        RailKind::Authorized,
        RailKind::Batch,
        RailKind::Enterprise,
        RailKind::RedPacket,
    ];

    /// The name in configurations and in the scenes of orders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RailKind::Transfer => "transfer",
            RailKind::Authorized => "authorized",
            RailKind::Batch => "batch",
            RailKind::Enterprise => "enterprise",
            RailKind::RedPacket => "red_packet",
        }
    }

    /// The scene of orders for this rail. An order is durable with its scene, so whatever is
    /// configured later, it goes over the rail that it was made for. Scenes of the transfer of
    /// 2025 stay as WeChat writes them.
    #[must_use]
    pub fn scene(self, scene: &str) -> String {
        match self {
            RailKind::Transfer => scene.to_owned(),
            RailKind::Authorized | RailKind::Batch if !scene.is_empty() => {
                format!("{}:{scene}", self.name())
            }
            RailKind::RedPacket if scene.starts_with("PRODUCT_") => {
                format!("{}:{scene}", self.name())
            }
            RailKind::Authorized | RailKind::Batch | RailKind::Enterprise | RailKind::RedPacket => {
                self.name().to_owned()
            }
        }
    }

    /// The rail of an order's scene.
    #[must_use]
    pub fn of_scene(scene: &str) -> RailKind {
        let name = scene.split_once(':').map_or(scene, |(name, _)| name);
        let found = RailKind::ALL.into_iter().find(|kind| kind.name() == name);
        found.unwrap_or_default()
    }

    /// WeChat's id of an order's scene, where the rail has one.
    #[must_use]
    pub fn scene_id(scene: &str) -> Option<&str> {
        scene.split_once(':').map(|(_, id)| id)
    }

    /// Whether it needs the old API's key and certificate.
    #[must_use]
    pub fn is_old(self) -> bool {
        match self {
            RailKind::Transfer | RailKind::Authorized | RailKind::Batch => false,
            RailKind::Enterprise | RailKind::RedPacket => true,
        }
    }
}

/// The rails of a merchant, in a configuration one name or a list: the first is that of new orders,
/// the others are of earlier ones, which are still asked about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct RailList(Vec<RailKind>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a rail of docs/RAILS.md, or a list of them")]
enum OneOrMany {
    One(RailKind),
    Many(Vec<RailKind>),
}

impl From<OneOrMany> for RailList {
    fn from(rails: OneOrMany) -> RailList {
        RailList(match rails {
            OneOrMany::One(kind) => vec![kind],
            OneOrMany::Many(kinds) => kinds,
        })
    }
}

impl Default for RailList {
    fn default() -> Self {
        RailList(vec![RailKind::default()])
    }
}

impl RailList {
    /// The rail of new orders.
    #[must_use]
    pub fn first(&self) -> RailKind {
        self.0.first().copied().unwrap_or_default()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[RailKind] {
        &self.0
    }

    /// Whether one of them needs the old API's key and certificate.
    #[must_use]
    pub fn any_old(&self) -> bool {
        self.0.iter().any(|kind| kind.is_old())
    }
}

impl fmt::Debug for PaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaySettings")
            .field("base_url", &self.base_url)
            .field("mchid", &self.mchid)
            .field("notify_url", &self.notify_url)
            .finish_non_exhaustive()
    }
}

/// An app that users grant authorizations to.
#[derive(Clone)]
pub struct OauthSettings {
    /// `https://open.weixin.qq.com`, or a sandbox.
    pub page_url: String,
    /// `https://api.weixin.qq.com`, or a sandbox.
    pub api_url: String,
    /// The app.
    pub app: AppId,
    /// What it is to WeChat.
    pub kind: AppKind,
    /// The app's secret.
    pub secret: String,
    /// An answer that has not come after this is taken as none.
    pub timeout: Duration,
}

impl fmt::Debug for OauthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthSettings")
            .field("page_url", &self.page_url)
            .field("api_url", &self.api_url)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}
