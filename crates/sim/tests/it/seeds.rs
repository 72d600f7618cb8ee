//! A fixed set of seeds, which must find nothing, and must be the same every time.

use lingqian_sim::run::{of_seed, on_twin};
use lingqian_sim::script::Script;
use lingqian_sim::shrink::shrink;
use lingqian_sim::world::Tally;

/// Actions of each seed.
const STEPS: u64 = 400;

fn seeds(seeds: std::ops::Range<u64>) -> Tally {
    let mut all = Tally::default();
    for seed in seeds {
        let ran = on_twin(&of_seed(seed, STEPS));
        assert_eq!(ran.failure, None, "seed {seed}");
        all.add(&ran.tally);
    }
    all
}

#[test]
fn the_first_seeds_find_nothing_and_see_every_sort_of_fault() {
    let all = seeds(1..200);
    assert!(all.crashes > 300, "{all:?}");
    assert!(all.faults.len() > 30, "{all:?}");
    for state in ["paid", "failed", "expired", "cancelled", "refused"] {
        assert!(
            all.ended.get(state).is_some_and(|times| *times > 100),
            "{state}: {all:?}"
        );
    }
    let ended: u64 = all.ended.values().sum();
    assert_eq!(ended, all.payouts);
}

#[test]
fn other_seeds_find_nothing_either() {
    let all = seeds(1_000_000..1_000_200);
    assert!(all.payouts > 5_000, "{all:?}");
}

#[test]
fn the_same_seed_writes_the_same_trace_and_reads_back_from_its_text() {
    for seed in [3, 14, 159] {
        let mut script = of_seed(seed, STEPS);
        script.settings.trace = true;
        let first = on_twin(&script);
        let mut again = Script::read(&script.to_string()).expect("it reads");
        again.settings.trace = true;
        let second = on_twin(&again);
        assert!(first.trace.len() > 400, "{}", first.trace.len());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.tally, second.tally, "seed {seed}");
    }
}

#[test]
fn a_failing_script_is_made_small_and_still_fails_so() {
    let mut script = of_seed(5, 60);
    let wrong = Script::read("withdraw wx u1 1.00\nexpect wx paid").expect("it reads");
    let end = script.lines.len() - 1;
    script.lines.splice(end..end, wrong.lines);
    let failure = |script: &Script| on_twin(script).failure.map(|(_, found)| found.invariant);
    assert_eq!(failure(&script).as_deref(), Some("expectation"));
    let small = shrink(&script, 1_000);
    assert_eq!(small.lines.len(), 1, "{small}");
    assert_eq!(failure(&small).as_deref(), Some("expectation"));
}
