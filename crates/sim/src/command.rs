//! `lingqian sim`: seeds one after the other, and an honest summary.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lingqian_io::twin::MemoryStore;

use crate::crash;
use crate::run::{Ran, of_seed, on_twin};
use crate::script::Script;
use crate::shrink;
use crate::world::Tally;

/// The exit code when an invariant was violated.
pub const FOUND: u8 = 3;
/// How long a failing script is made smaller, in runs.
const SHRINK_RUNS_MAX: u32 = 4_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Actions of each.
    pub steps: u64,
    /// Begin no further seed after this.
    pub until: Option<Duration>,
    /// Print everything that happens.
    pub trace: bool,
    /// Make a failing script smaller.
    pub shrink: bool,
    /// Kill a process at every point of every flow instead.
    pub crash_points: bool,
    /// Run this script instead of seeds.
    pub story: Option<String>,
    /// Print the figures as `name value` lines.
    pub plain: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            seeds: 100,
            steps: 400,
            until: None,
            trace: false,
            shrink: true,
            crash_points: false,
            story: None,
            plain: false,
        }
    }
}

impl Options {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// Which word is wrong.
    pub fn read(words: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |text: &String| {
                text.parse::<u64>()
                    .map_err(|_| format!("`{text}` is no number"))
            };
            match word.as_str() {
                "--seed" => options.seed = number(value()?)?,
                "--seeds" => options.seeds = number(value()?)?,
                "--steps" => options.steps = number(value()?)?,
                "--until" => options.until = Some(read_until(value()?)?),
                "--crash-points" => options.crash_points = true,
                "--trace" => options.trace = true,
                "--plain" => options.plain = true,
                "--no-shrink" => options.shrink = false,
                "--story" => options.story = Some(value()?.clone()),
                other => return Err(format!("`{other}` is unknown")),
            }
        }
        Ok(options)
    }
}

/// Reads a span such as `30s` or `10m`.
///
/// # Errors
/// When it is none.
pub fn read_until(text: &str) -> Result<Duration, String> {
    let ms = crate::text::read_span(text).filter(|ms| *ms >= 0);
    let ms = ms.and_then(|ms| u64::try_from(ms).ok());
    ms.map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is no span such as 30s or 10m"))
}

/// Runs what is asked for and prints what came of it; whether something was found that must
/// never be.
pub fn run(options: &Options, print: &mut dyn FnMut(&str)) -> bool {
    if options.crash_points {
        return crash_points(options, print);
    }
    if let Some(path) = &options.story {
        return story(path, print);
    }
    let began = Instant::now();
    let (mut tally, mut seeds, mut found) = (Tally::default(), 0, false);
    std::panic::set_hook(Box::new(|_| {}));
    for seed in options.seed..options.seed.saturating_add(options.seeds) {
        if options.until.is_some_and(|until| began.elapsed() >= until) {
            break;
        }
        let mut script = of_seed(seed, options.steps);
        script.settings.trace = options.trace;
        let ran = on_twin(&script);
        seeds += 1;
        tally.add(&ran.tally);
        ran.trace.iter().for_each(|line| print(line));
        if ran.failure.is_some() {
            found = true;
            report(&script, &ran, options, print);
            break;
        }
    }
    let _ = std::panic::take_hook();
    summary(options, seeds, &tally, began.elapsed(), print);
    found
}

fn report(script: &Script, ran: &Ran, options: &Options, print: &mut dyn FnMut(&str)) {
    let Some((place, violation)) = &ran.failure else {
        return;
    };
    let seed = script.settings.seed;
    print(&format!(
        "VIOLATED {} by seed {seed} after {place} actions",
        violation.invariant
    ));
    print(&format!("  {}", violation.detail));
    print(&format!(
        "  again: lingqian sim --seed {seed} --seeds 1 --steps {} --trace",
        options.steps
    ));
    if !options.shrink {
        return;
    }
    let small = shrink::shrink(script, SHRINK_RUNS_MAX);
    print(&format!("  the same in {} actions:", small.lines.len()));
    small
        .to_string()
        .lines()
        .for_each(|line| print(&format!("    {line}")));
}

fn crash_points(options: &Options, print: &mut dyn FnMut(&str)) -> bool {
    let stores = || {
        let store = MemoryStore::default();
        move || store.clone()
    };
    let tried = crash::enumerate(stores, true);
    let points: u64 = tried.iter().map(|flow| flow.points).sum();
    for flow in tried.iter().filter(|_| !options.plain) {
        print(&format!("{:>5} {}", flow.points, flow.name));
        if let Some((point, violation)) = &flow.failure {
            print(&format!(
                "VIOLATED {} by point {point} after 0 actions of a flow",
                violation.invariant
            ));
            print(&format!("  {}", violation.detail));
        }
    }
    print(&format!("flows_killed_at_every_point {}", tried.len()));
    print(&format!("points_of_death {points}"));
    tried.iter().any(|flow| flow.failure.is_some())
}

fn story(path: &str, print: &mut dyn FnMut(&str)) -> bool {
    let script = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match script.and_then(|text| Script::read(&text)) {
        Ok(script) => {
            let ran = on_twin(&script);
            ran.trace.iter().for_each(|line| print(line));
            if let Some((place, violation)) = &ran.failure {
                print(&format!(
                    "VIOLATED {} by story {} after {place} actions",
                    violation.invariant,
                    path.rsplit('/').next().unwrap_or(path)
                ));
                print(&format!("  {}", violation.detail));
            }
            ran.failure.is_some()
        }
        Err(words) => {
            print(&format!("error: {path}: {words}"));
            true
        }
    }
}

fn summary(
    options: &Options,
    seeds: u64,
    tally: &Tally,
    took: Duration,
    print: &mut dyn FnMut(&str),
) {
    let struck: u64 = tally.faults.values().sum();
    let rate = per_second(tally.payouts, took);
    if options.plain {
        for (name, value) in [
            ("seeds", seeds),
            ("actions", tally.actions),
            ("payouts", tally.payouts),
            ("crashes", tally.crashes),
            ("faults", struck),
            ("moments", tally.moments),
            ("checks", tally.checks),
            ("lives_per_second", rate),
        ] {
            print(&format!("{name} {value}"));
        }
        return;
    }
    print(&format!(
        "{seeds} seeds, {} actions, {} side effects at which a process could die",
        tally.actions, tally.moments
    ));
    let mut ended = String::new();
    for (name, times) in &tally.ended {
        let _ = write!(ended, ", {times} {name}");
    }
    print(&format!("{} payout lives{ended}", tally.payouts));
    print(&format!(
        "{} processes died, {struck} faults struck:",
        tally.crashes
    ));
    for (name, times) in &tally.faults {
        print(&format!("  {times:>8} {name}"));
    }
    print(&format!(
        "{} checks of {} invariants",
        tally.checks,
        crate::invariants()
    ));
    let seconds = took.as_millis();
    print(&format!(
        "{seconds} ms on one core, {rate} payout lives a second"
    ));
}

fn per_second(count: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000_000) / micros
}
