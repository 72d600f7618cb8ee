//! Notices as the user they are about reads them.

use lingqian_core::notice::Told;
use lingqian_engine::notify::message;

/// What users are told, and what it is called in Chinese and in English.
const WORDS: [(&str, &str, &str); 12] = [
    ("user.linked", "微信零钱已绑定", "Wallet linked"),
    ("user.frozen", "提现已暂停", "Payouts stopped"),
    ("user.unfrozen", "提现已恢复", "Payouts allowed again"),
    (
        "link.needs_reauthorization",
        "请重新授权微信",
        "Please authorize WeChat again",
    ),
    ("link.revoked", "微信零钱已解绑", "Wallet unlinked"),
    ("payout.review", "提现审核中", "Payout under review"),
    (
        "payout.awaiting_user",
        "请确认收款",
        "Please confirm the payment",
    ),
    ("payout.paid", "提现已到账", "Paid"),
    ("payout.failed", "提现失败,金额已退回", "Failed, returned"),
    (
        "payout.expired",
        "超时未确认,金额已退回",
        "Not confirmed in time, returned",
    ),
    (
        "payout.cancelled",
        "提现已取消,金额已退回",
        "Cancelled, returned",
    ),
    (
        "payout.refused",
        "提现未通过,金额已退回",
        "Refused, returned",
    ),
];

/// The events that users are told.
pub(crate) fn events() -> Vec<&'static str> {
    WORDS.iter().map(|(event, ..)| *event).collect()
}

/// What an event is called to users, in Chinese and in English.
#[must_use]
pub fn title(event: &str) -> (&str, &str) {
    let words = WORDS.iter().find(|(known, ..)| *known == event);
    words.map_or((event, event), |(_, zh, en)| (*zh, *en))
}

/// A message: the notice as the feed has it, what it is called, and whether it was read.
pub(crate) fn shown(told: &Told, read_to: i64) -> String {
    let (zh, en) = title(told.notice.event.name());
    let whole = message(told);
    let rest = whole.strip_prefix('{').unwrap_or(&whole);
    let read = told.number <= read_to;
    format!(r#"{{"read":{read},"title":{{"zh":"{zh}","en":"{en}"}},{rest}"#)
}

#[cfg(test)]
mod tests {
    use lingqian_core::notice::Event;

    use super::*;

    #[test]
    fn every_word_is_of_an_event_that_there_is() {
        for event in events() {
            assert!(Event::from_name(event).is_some(), "{event}");
        }
    }
}
