//! Scripts: how a world is made, and what happens in it, line by line. A story is a script that
//! a person wrote; a seed makes one too. What chance decides about a line hangs on the line.

use std::fmt::{self, Write as _};

use lingqian_core::money::Fen;
use lingqian_core::risk::Policy;

use lingqian_wechat::settings::RailKind;

use crate::action::{self, Action};
use crate::world::{HOOKS_MAX, Payer, Settings};

/// How the futures of all processes take turns after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// What the dice are made of.
    pub salt: u32,
    /// For how many polls; then the next action happens, whatever is under way.
    pub polls: u16,
}

/// An action, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What happens.
    pub action: Action,
    /// Who goes on after it. Without this everybody takes turns until all wait.
    pub turns: Option<Turns>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        match self.turns {
            Some(Turns { salt, polls }) => write!(f, " ~{salt:x}:{polls}"),
            None => Ok(()),
        }
    }
}

/// A whole script.
#[derive(Clone, Debug)]
pub struct Script {
    /// How the world is made.
    pub settings: Settings,
    /// What happens in it.
    pub lines: Vec<Line>,
}

/// The settings that differ from those of a story.
fn header(settings: &Settings) -> String {
    let usual = Settings::default();
    let mut text = String::from("world");
    let mut say = |words: String| {
        let _ = write!(text, " {words}");
    };
    if settings.seed != usual.seed {
        say(format!("seed={}", settings.seed));
    }
    for (set, word) in [
        (settings.lively, "lively"),
        (settings.shows_locks, "shows-locks"),
        (!settings.fast, "careful"),
        (settings.names, "names"),
        (settings.split, "split"),
    ] {
        if set {
            say(word.to_owned());
        }
    }
    policy(settings, &usual, &mut say);
    if settings.limits.claim_max != usual.limits.claim_max {
        say(format!("claim={}", settings.limits.claim_max));
    }
    if settings.hooks != usual.hooks {
        say(format!("hooks={}", settings.hooks));
    }
    if settings.float != usual.float {
        say(format!("float={}", settings.float));
    }
    for (no, merchant) in (1..).zip(&settings.merchants) {
        let usual = usual.merchants.get(no - 1);
        if usual != Some(merchant) {
            let Payer {
                weight,
                quota,
                product,
                packs,
            } = merchant;
            let quota = quota.map_or(-1, |quota| quota.0);
            let place = RailKind::ALL.iter().position(|kind| kind == product);
            let place = place.unwrap_or(0);
            say(format!(
                "weight{no}={weight} quota{no}={quota} product{no}={place}"
            ));
            if *packs != 1 {
                say(format!("packs{no}={packs}"));
            }
        }
    }
    if settings.float2 != usual.float2 {
        say(format!("float2={}", settings.float2));
    }
    if settings.policy.name_required_from != usual.policy.name_required_from {
        say(format!(
            "name-from={}",
            settings.policy.name_required_from.0
        ));
    }
    if settings.limits.page_max != usual.limits.page_max {
        say(format!("page={}", settings.limits.page_max));
    }
    if settings.limits.watch_max != usual.limits.watch_max {
        say(format!("watch={}", settings.limits.watch_max));
    }
    text
}

/// The limits that differ.
fn policy(settings: &Settings, usual: &Settings, say: &mut impl FnMut(String)) {
    let Policy {
        user_day_count_max,
        user_day_amount_max,
        payout_max,
        ..
    } = &settings.policy;
    if let Some(from) = settings.policy.review_from {
        say(format!("review-from={}", from.0));
    }
    if let Some(from) = settings.policy.second_from {
        say(format!("second-from={}", from.0));
    }
    if settings.policy.hold_ms != usual.policy.hold_ms {
        say(format!("hold-ms={}", settings.policy.hold_ms));
    }
    if settings.policy.review_ms != usual.policy.review_ms {
        say(format!("review-ms={}", settings.policy.review_ms));
    }
    if settings.policy.attempts_max != usual.policy.attempts_max {
        say(format!("attempts={}", settings.policy.attempts_max));
    }
    if *user_day_count_max != usual.policy.user_day_count_max {
        say(format!("day-count={user_day_count_max}"));
    }
    if *user_day_amount_max != usual.policy.user_day_amount_max {
        say(format!("day-amount={}", user_day_amount_max.0));
    }
    if *payout_max != usual.policy.payout_max {
        say(format!("payout-max={}", payout_max.0));
    }
}

fn read_header(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for word in text.split_whitespace().skip(1) {
        let (name, value) = word.split_once('=').unwrap_or((word, "0"));
        let number: i64 = value
            .parse()
            .map_err(|_| format!("`{word}` has no number"))?;
        let count = u32::try_from(number).unwrap_or(u32::MAX);
        match name {
            "seed" => settings.seed = number.unsigned_abs(),
            "lively" => settings.lively = true,
            "shows-locks" => settings.shows_locks = true,
            "careful" => settings.fast = false,
            "names" => settings.names = true,
            "split" => settings.split = true,
            "hooks" => settings.hooks = usize::try_from(count).unwrap_or(0).min(HOOKS_MAX),
            "float2" => settings.float2 = number,
            "weight1" | "weight2" => {
                let payer = payer(&mut settings, name);
                payer.weight = count;
            }
            "quota1" | "quota2" => {
                let quota = (number >= 0).then_some(Fen(number));
                payer(&mut settings, name).quota = quota;
            }
            "product1" | "product2" => {
                let known = RailKind::ALL.get(usize::try_from(number).unwrap_or(0));
                payer(&mut settings, name).product = known.copied().unwrap_or_default();
            }
            "packs1" | "packs2" => {
                payer(&mut settings, name).packs = u16::try_from(number).unwrap_or(1);
            }
            "name-from" => settings.policy.name_required_from = Fen(number),
            "page" => settings.limits.page_max = count,
            "watch" => settings.limits.watch_max = count,
            "review-from" => settings.policy.review_from = Some(Fen(number)),
            "second-from" => settings.policy.second_from = Some(Fen(number)),
            "hold-ms" => settings.policy.hold_ms = number,
            "review-ms" => settings.policy.review_ms = number,
            "attempts" => {
                settings.policy.attempts_max = u8::try_from(number).unwrap_or(u8::MAX);
            }
            "day-count" => settings.policy.user_day_count_max = count,
            "day-amount" => settings.policy.user_day_amount_max = Fen(number),
            "payout-max" => {
                settings.policy.payout_max = Fen(number);
            }
            "claim" => settings.limits.claim_max = count,
            "float" => settings.float = number,
            _ => return Err(format!("`{word}` is no setting")),
        }
    }
    Ok(settings)
}

/// The merchant that a setting is about.
fn payer<'s>(settings: &'s mut Settings, name: &str) -> &'s mut Payer {
    let place = usize::from(name.ends_with('2'));
    if settings.merchants.len() <= place {
        settings.merchants.push(Payer::default());
    }
    &mut settings.merchants[place]
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", header(&self.settings))?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Script {
    /// Reads a script. Empty lines and what follows `#` are for people.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn read(text: &str) -> Result<Script, String> {
        let mut script = Script {
            settings: Settings::default(),
            lines: Vec::new(),
        };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let wrong = |words: String| format!("line {number}: {words}");
            if line.is_empty() {
                continue;
            }
            if line == "world" || line.starts_with("world ") {
                script.settings = read_header(line).map_err(wrong)?;
                continue;
            }
            script.lines.push(read_line(line).map_err(wrong)?);
        }
        Ok(script)
    }
}

fn read_line(line: &str) -> Result<Line, String> {
    let (words, turns) = match line.rsplit_once(" ~") {
        None => (line, None),
        Some((words, turns)) => {
            let parts = turns.split_once(':');
            let turns = parts.and_then(|(salt, polls)| {
                let salt = u32::from_str_radix(salt, 16).ok()?;
                let polls = polls.parse().ok()?;
                Some(Turns { salt, polls })
            });
            (
                words,
                Some(turns.ok_or_else(|| format!("`{line}` has no turns"))?),
            )
        }
    };
    let action = action::read(words)?;
    Ok(Line { action, turns })
}
