//! What has to be known about a merchant and an app at WeChat.

use std::fmt;
use std::time::Duration;

use lingqian_core::id::{AppId, MchId};

/// A merchant at WeChat Pay.
#[derive(Clone)]
pub struct PaySettings {
    /// `https://api.mch.weixin.qq.com`, or a sandbox.
    pub base_url: String,
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
            cancel: 20,
            bill: 3,
        }
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
