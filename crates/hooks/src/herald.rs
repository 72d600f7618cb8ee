//! Alerts to where operators look: a webhook, a robot of a group chat, or mail. The same guard
//! stands before all of them as before webhooks.

use std::time::Duration;

use lingqian_io::alerts::{Herald, Target, Telling};
use lingqian_io::courier::{Parcel, Receipt, SigningKey};

use crate::client::{self, Post};
use crate::mail::{Letter, Mail};
use crate::robot::{self, DINGTALK_MAX, Robot, WECOM_MAX};
use crate::{Reach, sign, text};

/// A way to somebody. Addresses of robots are secrets, so it never prints itself.
#[derive(Clone)]
pub enum Way {
    /// A signed `POST` after Standard Webhooks; without a key it is not signed.
    Webhook {
        /// Where to.
        url: String,
        /// What signs it.
        key: Option<SigningKey>,
    },
    /// WeCom's robot of a group.
    Wecom {
        /// Its address, with its key.
        url: String,
    },
    /// DingTalk's robot of a group.
    Dingtalk {
        /// Its address, with its token.
        url: String,
        /// The secret of its signature, where it has one.
        secret: Option<String>,
    },
    /// Mail.
    Email(Box<Mail>),
}

/// Carries alerts over the network.
#[derive(Clone)]
pub struct NetHerald {
    ways: Vec<(Target, Way)>,
    runbook: String,
    post: Post,
    reach: Reach,
    timeout: Duration,
}

impl std::fmt::Debug for NetHerald {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.ways.iter().map(|(target, _)| &target.name);
        f.debug_list().entries(names).finish()
    }
}

impl NetHerald {
    /// A herald for these; `runbook` is the page that links lead to, each to the heading of its
    /// kind.
    #[must_use]
    pub fn new(
        ways: Vec<(Target, Way)>,
        runbook: &str,
        (reach, timeout): (Reach, Duration),
    ) -> NetHerald {
        NetHerald {
            ways,
            runbook: runbook.to_owned(),
            post: Post::new(reach, timeout),
            reach,
            timeout,
        }
    }

    async fn sent(&self, way: &Way, telling: &Telling) -> Result<Receipt, &'static str> {
        let at_ms = telling.at.0;
        let base = self.runbook.as_str();
        match way {
            Way::Webhook { url, key } => {
                let parcel = Parcel {
                    url: url.clone(),
                    id: telling.id.clone(),
                    at: telling.at,
                    body: text::body(telling, base),
                    keys: key.iter().cloned().collect(),
                };
                let signed = sign::headers(&parcel).ok_or("key_unusable")?;
                let unsigned =
                    |(name, _): &(&str, String)| key.is_some() || !name.ends_with("ature");
                let headers = signed.into_iter().filter(unsigned);
                let answer = self.post.post(url, headers, parcel.body).await?;
                Ok(client::receipt(&answer, at_ms))
            }
            Way::Wecom { url } => {
                let body = robot::wecom(&text::markdown(telling, base, WECOM_MAX));
                let answer = self.post.post(url, [], body).await?;
                Ok(robot::receipt(Robot::Wecom, &answer, at_ms))
            }
            Way::Dingtalk { url, secret } => {
                let words = text::markdown(telling, base, DINGTALK_MAX);
                let body = robot::dingtalk(&text::title(telling), &words);
                let url = match secret {
                    Some(secret) => robot::signed(url, secret, at_ms),
                    None => url.clone(),
                };
                let answer = self.post.post(&url, [], body).await?;
                Ok(robot::receipt(Robot::Dingtalk, &answer, at_ms))
            }
            Way::Email(mail) => {
                let letter = Letter {
                    id: telling.id.clone(),
                    at_ms,
                    subject: text::title(telling),
                    text: text::words(telling, base),
                };
                Ok(mail.send(letter, self.reach, self.timeout).await)
            }
        }
    }
}

impl Herald for NetHerald {
    fn targets(&self) -> Vec<Target> {
        let targets = self.ways.iter();
        targets.map(|(target, _)| target.clone()).collect()
    }

    async fn tell(&self, telling: Telling) -> Receipt {
        let mut ways = self.ways.iter();
        let Some((_, way)) = ways.find(|(target, _)| target.name == telling.target) else {
            return Receipt::unanswered("target_unknown");
        };
        let sent = self.sent(way, &telling).await;
        sent.unwrap_or_else(Receipt::unanswered)
    }
}
