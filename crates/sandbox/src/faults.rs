//! What goes wrong on purpose: so many times, or for so many of a thousand transfers.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// The transfer is accepted and the connection closed without an answer.
    AnswerLost,
    /// The transfer is accepted and the answer is 500 SYSTEM_ERROR.
    ErrorAfter,
    /// Nothing is accepted and the answer is 500 SYSTEM_ERROR.
    ErrorBefore,
    /// Nothing is accepted and the answer is 429.
    TooFast,
    /// The answer to a create is signed with a key that nobody knows.
    UnknownKey,
    /// The answer to a create has a wrong signature.
    WrongSignature,
    /// The notification comes twice.
    NoticeTwice,
    /// The notification comes a minute of real time late.
    NoticeLate,
    /// The notification never comes.
    NoticeNever,
    /// The notification comes first with a wrong signature.
    NoticeProbe,
    /// A create waits a second before it is answered, so that the notification may be first.
    SlowAnswer,
    /// Nothing is accepted and the answer is 403 NOT_ENOUGH.
    NotEnough,
    /// Nothing is accepted and the answer says that the merchant's quota of the day is spent.
    QuotaSpent,
    /// The transfer is accepted and the answer is 400 with a code that nobody knows.
    UnknownCode,
    /// The transfer is accepted and the answer says that the number exists with other data.
    OtherData,
    /// A query does not find what was accepted: it asks a copy that lags behind.
    QueryBlind,
    /// A query is answered by 500 SYSTEM_ERROR.
    QueryError,
    /// A cancel is accepted and the connection closed without an answer.
    CancelLost,
    /// A batch takes half an hour until its money is locked.
    BatchSlow,
    /// There is never the money for a batch; it is closed after a day.
    BatchUnfunded,
    /// An item of a batch is stopped by risk control.
    ItemRisk,
    /// A payment of the old API takes ten minutes, is answered by SYSTEMERROR, and is paid.
    PaidLate,
    /// The same, and it is not paid.
    FailedLate,
    /// A payment of the old API is made and answered by SEND_FAILED.
    SendFailed,
    /// A payment of the old API is made and answered by PARAM_ERROR, as has been seen.
    FalseRefusal,
    /// A payment of the old API is made and answered by a page of a gateway.
    HtmlAnswer,
    /// A call of OAuth is done and the connection closed without an answer.
    TokensLost,
    /// A refresh hands out another refresh token, with thirty days of its own.
    TokenRenewed,
}

/// What will go wrong.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// The next so many times.
    pub(crate) times: BTreeMap<Fault, u64>,
    /// So many of a thousand, chosen by the transfer's number.
    pub(crate) per_mille: BTreeMap<Fault, u64>,
    /// With which codes the next calls of OAuth are refused, by path such as
    /// `sns/oauth2/refresh_token`, one after the other.
    pub(crate) errcodes: BTreeMap<String, VecDeque<i64>>,
}

impl Faults {
    /// The code that the next call of this path is refused with.
    pub(crate) fn planned(&mut self, call: &str) -> Option<i64> {
        self.errcodes.get_mut(call)?.pop_front()
    }

    /// Whether it goes wrong this time, for this transfer.
    pub(crate) fn strikes(&mut self, fault: Fault, number: &str) -> bool {
        if let Some(left) = self.times.get_mut(&fault)
            && *left > 0
        {
            *left -= 1;
            return true;
        }
        let chance = self.per_mille.get(&fault).copied().unwrap_or(0);
        chance > 0 && lot(&format!("{fault:?}"), 0, number) < chance
    }
}

/// A number below a thousand that depends on its arguments alone.
pub(crate) fn lot(salt: &str, seed: u64, number: &str) -> u64 {
    let digest = crate::crypto::sha256(format!("{salt}/{seed}/{number}").as_bytes());
    let head: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(head) % 1_000
}
