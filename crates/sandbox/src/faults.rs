//! What goes wrong on purpose: so many times, for so many of a thousand transfers, or for one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::Context as _;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::auth::Refused;
use crate::damage::Damage;

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
    /// The answer to a create is signed by a clock ten minutes behind.
    StaleAnswer,
    /// The answer to a create is not signed.
    UnsignedAnswer,
    /// The answer to a create or to a question has fields that nobody knows.
    ExtraFields,
    /// The notification comes twice.
    NoticeTwice,
    /// The notification comes a minute of real time late.
    NoticeLate,
    /// The notification never comes.
    NoticeNever,
    /// The notification comes first with a wrong signature.
    NoticeProbe,
    /// Before the notification comes one that says the opposite, signed by another key.
    NoticeForged,
    /// The notification waits until the next one went out.
    NoticeHeld,
    /// A create waits a second before it is answered, so that the notification may be first.
    SlowAnswer,
    /// Nothing is accepted and the answer is 403 NOT_ENOUGH.
    NotEnough,
    /// Nothing is accepted and the answer says that the merchant's quota of the day is spent.
    QuotaSpent,
    /// Nothing is accepted and the answer is 403 NO_AUTH: calls from this address are not allowed.
    AddressRefused,
    /// Nothing is accepted and the answer is 403 NO_AUTH: the merchant does not have the product.
    NoRight,
    /// Nothing is accepted and the answer says that the number's time to come again is over.
    RetryLate,
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
    /// The user confirms in the moment in which a cancel comes in, and is first.
    ConfirmFirst,
    /// The user confirms and the transfer fails for a reason that nobody knows.
    UnknownReason,
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
    /// A transfer or payment is made and answered by a page of a gateway.
    HtmlAnswer,
    /// A call of OAuth is done and the connection closed without an answer.
    TokensLost,
    /// A refresh hands out another refresh token, with thirty days of its own.
    TokenRenewed,
}

/// An answer word for word.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scripted {
    /// For the transfer of this number alone.
    number: Option<String>,
    /// Whether the transfer is accepted all the same.
    #[serde(default)]
    accepted: bool,
    status: u16,
    code: String,
    message: String,
    #[serde(default = "once")]
    times: u64,
}

fn once() -> u64 {
    1
}

/// What will go wrong.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// The next so many times.
    pub(crate) times: BTreeMap<Fault, u64>,
    /// So many of a thousand, chosen by the transfer's number.
    pub(crate) per_mille: BTreeMap<Fault, u64>,
    /// So many times for the transfer of a number.
    pub(crate) numbers: BTreeMap<String, BTreeMap<Fault, u64>>,
    /// Answers to creates word for word.
    pub(crate) answers: Vec<Scripted>,
    /// How the files of bills are damaged.
    pub(crate) bill: BTreeSet<Damage>,
    /// Whether calls are counted, and refused beyond what WeChat allows in a second.
    pub(crate) throttle: bool,
    /// What nobody confirms is closed up to so many seconds late, each by its number.
    pub(crate) close_lag_max_s: u32,
    /// Whether error answers are left unsigned.
    pub(crate) errors_unsigned: bool,
    /// With which codes the next calls of OAuth are refused, by path such as
    /// `sns/oauth2/refresh_token`, one after the other.
    pub(crate) errcodes: BTreeMap<String, VecDeque<i64>>,
    /// Whether some of it happened since it was written down.
    #[serde(skip)]
    pub(crate) struck: bool,
}

impl Faults {
    /// Those of a file; nothing goes wrong where none is named.
    pub(crate) fn of_file(path: Option<&Path>) -> anyhow::Result<Faults> {
        let Some(path) = path else {
            return Ok(Faults::default());
        };
        let text = std::fs::read(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let wrong = || format!("{} is no list of faults", path.display());
        serde_json::from_slice(&text).with_context(wrong)
    }

    /// The code that the next call of this path is refused with.
    pub(crate) fn planned(&mut self, call: &str) -> Option<i64> {
        let planned = self.errcodes.get_mut(call)?.pop_front();
        self.struck |= planned.is_some();
        planned
    }

    /// Whether it goes wrong this time, for this transfer.
    pub(crate) fn strikes(&mut self, fault: Fault, number: &str) -> bool {
        if self.strikes_one(fault, number) {
            return true;
        }
        if take(self.times.get_mut(&fault)) {
            self.struck = true;
            return true;
        }
        let chance = self.per_mille.get(&fault).copied().unwrap_or(0);
        chance > 0 && lot(&format!("{fault:?}"), 0, number) < chance
    }

    /// Whether it was asked for by the number of this transfer alone.
    pub(crate) fn strikes_one(&mut self, fault: Fault, number: &str) -> bool {
        let mine = self.numbers.get_mut(number);
        let strikes = take(mine.and_then(|faults| faults.get_mut(&fault)));
        self.struck |= strikes;
        strikes
    }

    /// What is to be answered word for word, to a create that is accepted or that is not.
    pub(crate) fn scripted(&mut self, number: &str, accepted: bool) -> Option<Refused> {
        let mut answers = self.answers.iter_mut();
        let found = answers.find(|one| {
            let fits = one.number.as_deref().is_none_or(|wanted| wanted == number);
            fits && one.accepted == accepted && one.times > 0
        })?;
        found.times -= 1;
        let (code, message) = (found.code.clone(), found.message.clone());
        let refused = Refused::new(found.status, code, message);
        self.struck = true;
        Some(refused)
    }

    /// What a request asks for itself, in the header `Sandbox-Fault`, for its number.
    pub(crate) fn asked_for(&mut self, asked: &BTreeSet<Fault>, number: &str) {
        if asked.is_empty() {
            return;
        }
        let mine = self.numbers.entry(number.to_owned()).or_default();
        for fault in asked {
            *mine.entry(*fault).or_default() += 1;
        }
    }

    /// How much later than a day a transfer is closed, in milliseconds.
    pub(crate) fn close_lag_ms(&self, number: &str) -> i64 {
        let share = i64::try_from(lot("close", 0, number)).unwrap_or_default();
        i64::from(self.close_lag_max_s) * share
    }
}

fn take(left: Option<&mut u64>) -> bool {
    match left {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// The faults that the header `Sandbox-Fault` names, with commas in between.
pub(crate) fn asked(headers: &HeaderMap) -> Result<BTreeSet<Fault>, Refused> {
    let mut asked = BTreeSet::new();
    for value in headers.get_all("sandbox-fault") {
        let names = value.to_str().unwrap_or("?").split(',').map(str::trim);
        for name in names {
            let fault: Result<Fault, _> = serde_json::from_value(name.into());
            asked.insert(fault.map_err(|_| {
                let words =
                    format!("Sandbox-Fault: {name} is no fault; docs/SANDBOX.md lists them");
                Refused::new(400, "SANDBOX_FAULT_UNKNOWN", words)
            })?);
        }
    }
    Ok(asked)
}

/// A number below a thousand that depends on its arguments alone.
pub(crate) fn lot(salt: &str, seed: u64, number: &str) -> u64 {
    let digest = crate::crypto::sha256(format!("{salt}/{seed}/{number}").as_bytes());
    let head: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(head) % 1_000
}
