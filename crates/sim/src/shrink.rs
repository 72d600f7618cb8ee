//! Makes a failing script small: actions are left out as long as what remains violates the same
//! invariant. What chance decides hangs on each line, so the lines that stay keep their meaning.

use crate::run::on_twin;
use crate::script::{Line, Script};

struct Shrinker {
    script: Script,
    invariant: String,
    runs_left: u32,
}

/// The smallest script that was found within so many runs. A script that does not fail stays as
/// it is.
#[must_use]
pub fn shrink(script: &Script, runs_max: u32) -> Script {
    let mut silent = script.clone();
    silent.settings.trace = false;
    let Some((place, violation)) = on_twin(&silent).failure else {
        return script.clone();
    };
    let mut shrinker = Shrinker {
        script: silent,
        invariant: violation.invariant,
        runs_left: runs_max,
    };
    shrinker.script.lines.truncate(place.saturating_add(1));
    let mut size = shrinker.script.lines.len() / 2;
    loop {
        let before = shrinker.script.lines.len();
        shrinker.leave_out(size.max(1));
        let smaller = shrinker.script.lines.len() < before;
        if size > 1 {
            size /= 2;
        } else if !smaller {
            break;
        }
    }
    shrinker.calm_down();
    shrinker.script
}

impl Shrinker {
    fn fails(&mut self, script: &Script) -> bool {
        if self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        let failure = on_twin(script).failure;
        failure.is_some_and(|(_, violation)| violation.invariant == self.invariant)
    }

    fn try_lines(&mut self, lines: Vec<Line>) -> bool {
        let script = Script {
            settings: self.script.settings.clone(),
            lines,
        };
        let fails = self.fails(&script);
        if fails {
            self.script = script;
        }
        fails
    }

    /// Leaves out so many lines at a time, from the end to the beginning.
    fn leave_out(&mut self, size: usize) {
        let mut end = self.script.lines.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let mut lines = self.script.lines.clone();
            lines.drain(start..end);
            self.try_lines(lines);
            end = start;
        }
    }

    /// Lets everybody take turns plainly after a line, where it still fails so.
    fn calm_down(&mut self) {
        for place in 0..self.script.lines.len() {
            let mut lines = self.script.lines.clone();
            if lines[place].turns.take().is_some() {
                self.try_lines(lines);
            }
        }
    }
}
