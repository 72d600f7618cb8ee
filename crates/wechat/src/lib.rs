#![doc = include_str!("../README.md")]

pub mod authorized;
pub mod batch;
pub mod bill;
mod calls;
pub mod certificates;
pub mod cipher;
pub mod classify;
mod hosts;
pub mod merchants;
pub mod message;
pub mod notify;
pub mod oauth;
pub mod pace;
pub mod pay;
pub mod rails;
pub mod receipt;
pub mod remedy;
pub mod settings;
pub mod sign;
pub mod skew;
pub mod socket;
pub mod tables;
pub mod transfer;
pub mod trust;
pub mod turnover;
pub mod v2;

pub use merchants::{WechatApps, WechatMerchants};
pub use oauth::WechatOauth;
pub use pay::WechatPay;
pub use rails::Rails;
pub use settings::{OauthSettings, PaySettings};
pub use trust::Trust;
pub use turnover::Turnover;
