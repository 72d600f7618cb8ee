//! What happens in the pretend world, one action a line: the language of stories and of the
//! scripts that a seed makes. What is written reads back.

use std::fmt;

use lingqian_core::command::Manual;
use lingqian_core::money::Fen;

use crate::fault::{BillFault, Forgery, HookFault, NoticeFault, StoreFault, WechatFault};
use crate::text::{read_span, read_yuan, span, yuan};

/// A pass of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Risk looks at what was requested.
    Assess,
    /// Orders are made durable and sent.
    Dispatch,
    /// Silent transfers are asked about.
    Poll,
    /// Unwanted transfers are cancelled.
    Cancel,
    /// What nobody approved in time ends.
    Expire,
    /// Balances become withdrawals.
    Sweep,
    /// Days that are over and not closed are reconciled.
    Bills,
    /// Every day that is over is reconciled once more.
    AllBills,
    /// What a lifted stop had put off is due again.
    Wake,
    /// The auditor looks at the next of what there is.
    Watch,
    /// The money at WeChat is reckoned up.
    Reckon,
    /// What was told is delivered.
    Notify,
}

impl Pass {
    /// Every pass, in the order in which money moves.
    pub const ALL: [Pass; 12] = [
        Pass::Assess,
        Pass::Dispatch,
        Pass::Poll,
        Pass::Cancel,
        Pass::Expire,
        Pass::Sweep,
        Pass::Bills,
        Pass::AllBills,
        Pass::Wake,
        Pass::Watch,
        Pass::Reckon,
        Pass::Notify,
    ];

    /// The name in a story.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Pass::Assess => "assess",
            Pass::Dispatch => "dispatch",
            Pass::Poll => "poll",
            Pass::Cancel => "cancel",
            Pass::Expire => "expire",
            Pass::Sweep => "sweep",
            Pass::Bills => "bills",
            Pass::AllBills => "all-bills",
            Pass::Wake => "wake",
            Pass::Watch => "watch",
            Pass::Reckon => "reckon",
            Pass::Notify => "notify",
        }
    }
}

/// What can be stopped, and whose stop it is: people's, or the engine's own, which people lift.
pub(crate) const SCOPES: [&str; 9] = [
    "all",
    "merchant",
    "merchant2",
    "scene",
    "scene2",
    "audit",
    "audit2",
    "audit-all",
    "float",
];

/// One thing that happens. Processes are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The app registers a user, who links a wallet.
    User(String),
    /// A user links a wallet of this name.
    Link(String, String),
    /// The app reports an earning.
    Earn {
        /// The name of the event.
        event: String,
        /// Whose it is.
        user: String,
        /// How much, in micro-yuan.
        micros: i64,
    },
    /// The app reports a gift of one user to another.
    Gift {
        /// The name of the event.
        event: String,
        /// Who gives.
        from: String,
        /// Who gets.
        to: String,
        /// How much, in micro-yuan.
        micros: i64,
    },
    /// The app takes an earning back, all of it or a part.
    TakeBack {
        /// The name of the event.
        event: String,
        /// The event that is taken back.
        of: String,
        /// How much of it, in micro-yuan; all that is left where nothing is said.
        micros: Option<i64>,
    },
    /// The app asks for a payout, of all where no amount is named.
    Withdraw {
        /// What the app calls it.
        name: String,
        /// Whose it is.
        user: String,
        /// How much.
        amount: Option<Fen>,
    },
    /// The app no longer wants a payout.
    Cancel(String),
    /// The operator stops payouts to a user.
    Freeze(String),
    /// The operator allows them again.
    Thaw(String),
    /// The operator does something to a payout by hand, in somebody's name.
    Act(Manual, String, String),
    /// The operator stops payouts, or lifts a stop: of all, the merchant or the scene.
    Stop(bool, String, String),
    /// The app repeats everything that was not answered.
    Retry,
    /// The user confirms a transfer in WeChat.
    Confirm(String),
    /// WeChat closes a transfer for a reason of its own.
    Close(String, String),
    /// Something goes wrong with a call to WeChat.
    Wechat(WechatFault),
    /// Something goes wrong in the store.
    Store(StoreFault),
    /// Something goes wrong with a notification.
    Notice(NoticeFault),
    /// Something goes wrong with a message to a receiver of the app.
    Hook(HookFault),
    /// Somebody sends a false notification about a payout.
    Forge(Forgery, String),
    /// Something is wrong with a bill.
    Bill(BillFault),
    /// Money comes to a merchant's account, or leaves it.
    Float(i64, usize),
    /// A pass runs in a process.
    Run(Pass, usize),
    /// Every pass that moves payouts runs in every process.
    Work,
    /// A pass runs in a process, which dies at this moment of it.
    CrashIn(Pass, u64, usize),
    /// A process dies.
    Crash(usize),
    /// A process will die so many moments from now.
    CrashAfter(u64, usize),
    /// A process starts, or starts again.
    Start(usize),
    /// A process stands still, without noticing.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// Time passes, in milliseconds.
    Clock(i64),
    /// The business clock of a process is put forwards or backwards.
    Jump(usize, i64),
    /// The clock by which a process signs is put forwards or backwards.
    WireJump(usize, i64),
    /// Faults stop, everybody works, and everything must come to its end.
    Calm,
    /// A payout must be in a state, or a user have a balance.
    Expect(String, String),
}

fn process(f: &mut fmt::Formatter<'_>, no: usize) -> fmt::Result {
    if no == 1 { Ok(()) } else { write!(f, " p{no}") }
}

fn signed(ms: i64) -> String {
    let sign = if ms < 0 { "" } else { "+" };
    format!("{sign}{}", span(ms))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::User(user) => write!(f, "user {user}"),
            Action::Link(user, wallet) => write!(f, "link {user} {wallet}"),
            Action::Earn {
                event,
                user,
                micros,
            } => {
                write!(f, "earn {event} {user} {}", yuan(*micros))
            }
            Action::Gift {
                event,
                from,
                to,
                micros,
            } => {
                write!(f, "gift {event} {from} {to} {}", yuan(*micros))
            }
            Action::TakeBack { event, of, micros } => {
                write!(f, "take-back {event} {of}")?;
                micros.map_or(Ok(()), |micros| write!(f, " {}", yuan(micros)))
            }
            Action::Withdraw { name, user, amount } => {
                let amount = amount.map(|fen| yuan(fen.0.saturating_mul(10_000)));
                let amount = amount.unwrap_or_else(|| "all".into());
                write!(f, "withdraw {name} {user} {amount}")
            }
            Action::Cancel(name) => write!(f, "cancel {name}"),
            Action::Freeze(user) => write!(f, "freeze {user}"),
            Action::Thaw(user) => write!(f, "thaw {user}"),
            Action::Act(what, name, who) => write!(f, "{} {name} by {who}", what.name()),
            Action::Stop(on, scope, who) => {
                write!(f, "{} {scope} by {who}", if *on { "stop" } else { "lift" })
            }
            Action::Retry => f.write_str("retry"),
            Action::Confirm(name) => write!(f, "confirm {name}"),
            Action::Close(name, reason) => write!(f, "close {name} {reason}"),
            Action::Wechat(fault) => write!(f, "wechat {}", fault.words()),
            Action::Store(fault) => write!(f, "store {}", fault.words()),
            Action::Notice(fault) => write!(f, "notice {}", fault.words()),
            Action::Hook(fault) => write!(f, "hook {}", fault.words()),
            Action::Forge(forgery, name) => write!(f, "forge {} {name}", forgery.words()),
            Action::Bill(fault) => write!(f, "bill {}", fault.words()),
            Action::Float(micros, merchant) => {
                let sign = if *micros < 0 { "" } else { "+" };
                write!(f, "float {sign}{}", yuan(*micros))?;
                if *merchant == 1 {
                    Ok(())
                } else {
                    write!(f, " m{merchant}")
                }
            }
            Action::Run(pass, no) => {
                write!(f, "run {}", pass.name()).and_then(|()| process(f, *no))
            }
            Action::Work => f.write_str("work"),
            Action::CrashIn(pass, at, no) => {
                write!(f, "crash {} at {at}", pass.name()).and_then(|()| process(f, *no))
            }
            Action::Crash(no) => write!(f, "crash p{no}"),
            Action::CrashAfter(moments, no) => write!(f, "crash p{no} after {moments}"),
            Action::Start(no) => write!(f, "start p{no}"),
            Action::Pause(no) => write!(f, "pause p{no}"),
            Action::Resume(no) => write!(f, "resume p{no}"),
            Action::Clock(ms) => write!(f, "clock {}", signed(*ms)),
            Action::Jump(no, ms) => write!(f, "clock p{no} {}", signed(*ms)),
            Action::WireJump(no, ms) => write!(f, "wire p{no} {}", signed(*ms)),
            Action::Calm => f.write_str("calm"),
            Action::Expect(what, is) => write!(f, "expect {what} {is}"),
        }
    }
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(line: &str) -> Result<Action, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (Some(verb), rest) = (words.first(), words.get(1..).unwrap_or_default()) else {
        return Err("there is nothing in it".into());
    };
    let action = match (*verb, rest) {
        ("crash", _) | ("start" | "pause" | "resume" | "clock" | "wire" | "run", _) => {
            read_machine(verb, rest)
        }
        ("wechat" | "store" | "notice" | "hook" | "bill" | "forge", _) => read_fault(verb, rest),
        _ => read_people(verb, rest),
    };
    action.ok_or_else(|| format!("`{line}` is no action"))
}

fn read_people(verb: &str, rest: &[&str]) -> Option<Action> {
    let own = |text: &&str| (*text).to_owned();
    Some(match (verb, rest) {
        ("user", [user]) => Action::User(own(user)),
        ("link", [user, wallet]) => Action::Link(own(user), own(wallet)),
        ("earn", [event, user, amount]) => Action::Earn {
            event: own(event),
            user: own(user),
            micros: read_yuan(amount)?,
        },
        ("gift", [event, from, to, amount]) => Action::Gift {
            event: own(event),
            from: own(from),
            to: own(to),
            micros: read_yuan(amount)?,
        },
        ("take-back", [event, of]) => Action::TakeBack {
            event: own(event),
            of: own(of),
            micros: None,
        },
        ("take-back", [event, of, amount]) => Action::TakeBack {
            event: own(event),
            of: own(of),
            micros: Some(read_yuan(amount)?),
        },
        ("withdraw", [name, user, amount]) => Action::Withdraw {
            name: own(name),
            user: own(user),
            amount: match *amount {
                "all" => None,
                amount => Some(Fen(read_yuan(amount)? / 10_000)),
            },
        },
        ("cancel", [name]) => Action::Cancel(own(name)),
        ("freeze", [user]) => Action::Freeze(own(user)),
        ("thaw", [user]) => Action::Thaw(own(user)),
        ("stop" | "lift", [scope, "by", who]) if SCOPES.contains(scope) => {
            Action::Stop(verb == "stop", own(scope), own(who))
        }
        (_, [name, "by", who]) => Action::Act(Manual::from_name(verb)?, own(name), own(who)),
        ("retry", []) => Action::Retry,
        ("confirm", [name]) => Action::Confirm(own(name)),
        ("close", [name, reason]) => Action::Close(own(name), own(reason)),
        ("float", [amount]) => Action::Float(read_yuan(amount)?, 1),
        ("float", [amount, "m2"]) => Action::Float(read_yuan(amount)?, 2),
        ("work", []) => Action::Work,
        ("calm", []) => Action::Calm,
        ("expect", [what, is @ ..]) if !is.is_empty() => Action::Expect(own(what), is.join(" ")),
        _ => return None,
    })
}

fn read_fault(verb: &str, rest: &[&str]) -> Option<Action> {
    let words = rest.join(" ");
    match (verb, rest) {
        ("wechat", _) => WechatFault::from_words(&words).map(Action::Wechat),
        ("store", _) => StoreFault::from_words(&words).map(Action::Store),
        ("notice", _) => NoticeFault::from_words(&words).map(Action::Notice),
        ("hook", _) => HookFault::from_words(&words).map(Action::Hook),
        ("bill", _) => BillFault::from_words(&words).map(Action::Bill),
        ("forge", [forgery, name]) => {
            let forgery = Forgery::from_words(forgery)?;
            Some(Action::Forge(forgery, (*name).to_owned()))
        }
        _ => None,
    }
}

fn read_machine(verb: &str, rest: &[&str]) -> Option<Action> {
    let pass = |name: &str| Pass::ALL.into_iter().find(|pass| pass.name() == name);
    Some(match (verb, rest) {
        ("run", [name]) => Action::Run(pass(name)?, 1),
        ("run", [name, no]) => Action::Run(pass(name)?, read_process(no)?),
        ("crash", [no]) => Action::Crash(read_process(no)?),
        ("crash", [no, "after", moments]) => {
            Action::CrashAfter(moments.parse().ok()?, read_process(no)?)
        }
        ("crash", [name, "at", at]) => Action::CrashIn(pass(name)?, at.parse().ok()?, 1),
        ("crash", [name, "at", at, no]) => {
            Action::CrashIn(pass(name)?, at.parse().ok()?, read_process(no)?)
        }
        ("start", [no]) => Action::Start(read_process(no)?),
        ("pause", [no]) => Action::Pause(read_process(no)?),
        ("resume", [no]) => Action::Resume(read_process(no)?),
        ("clock", [ms]) => Action::Clock(read_span(ms)?),
        ("clock", [no, ms]) => Action::Jump(read_process(no)?, read_span(ms)?),
        ("wire", [no, ms]) => Action::WireJump(read_process(no)?, read_span(ms)?),
        _ => return None,
    })
}

/// Reads `p1` to `p9`.
fn read_process(text: &str) -> Option<usize> {
    let no = text.strip_prefix('p')?.parse().ok()?;
    (1..=9).contains(&no).then_some(no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let lines = "user alice\nlink alice o2\nearn e1 alice 5.00\ngift g1 alice bob 0.50\n\
            take-back c1 e1\ntake-back c2 e1 1.00\nwithdraw w1 alice 3.00\nwithdraw w2 bob all\n\
            cancel w1\napprove w1 by ann\nmark-unpaid w1 by bob\nstop all by ann\n\
            lift scene2 by ann\nfreeze alice\nthaw alice\nretry\nconfirm w1\nclose w1 ACCOUNT_FROZEN\n\
            wechat loses the answer\nstore commit is lost\nnotice doubled\nhook is gone\nforge amount w1\n\
            bill late\nfloat -5.00\nfloat +1.00 m2\nstop merchant2 by ann\n\
            run wake\nrun watch p2\nrun dispatch\nrun poll p2\nwork\ncrash dispatch at 7\n\
            crash poll at 1 p2\ncrash p1\ncrash p2 after 3\nstart p2\npause p1\nresume p1\n\
            clock +10m\nclock p1 -1h\nwire p2 +6m\ncalm\nexpect w1 paid\nexpect alice held 1.00";
        for line in lines.lines() {
            let action = read(line.trim()).expect(line);
            assert_eq!(action.to_string(), line.trim());
        }
        for line in [
            "",
            "dance",
            "earn e1 alice",
            "crash p0",
            "wechat sings",
            "clock 5",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
