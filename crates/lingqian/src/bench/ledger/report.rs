//! The figures of a run under their names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::figures::{Latencies, micros_each, per_second};
use crate::bench::ledger::drive::{Driver, Mark};
use crate::bench::ledger::model::Happened;
use crate::bench::ledger::plan::Tally;
use crate::bench::machine::resident_beside_heap;
use crate::bench::options::LedgerOptions;
use crate::bench::sheet::Sheet;

/// What happened while the clock stood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paused {
    /// How long events were made up.
    pub(crate) wall: Duration,
    /// What the store's own threads used meanwhile.
    pub(crate) others: Duration,
    /// The memory each time, from a quarter of the entries on.
    pub(crate) memory: Vec<Remembered>,
}

/// What memory there was for how many ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    /// Every entry has one: a withdrawal's reference is remembered as an event's id is.
    ids: u64,
    /// Resident memory of the store.
    resident: Option<u64>,
}

impl Remembered {
    pub(crate) fn now(tally: &Tally) -> Remembered {
        Remembered {
            ids: tally.entries(),
            resident: resident_beside_heap(),
        }
    }
}

/// By how many bytes resident memory grew with each id: the line that all of these are nearest to.
/// What does not grow with the number of ids is not in it, and what comes and goes, as the memory of
/// a merge does, weighs little. Nothing where there are less than two.
fn slope(memory: &[Remembered]) -> Option<f64> {
    let points = memory.iter();
    let points = points.map(|own| Some((own.ids as f64, own.resident? as f64)));
    let points: Vec<(f64, f64)> = points.collect::<Option<_>>()?;
    let mean =
        |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (ids, bytes) = (mean(|point| point.0), mean(|point| point.1));
    let product = points.iter().map(|own| (own.0 - ids) * (own.1 - bytes));
    let square = points.iter().map(|own| (own.0 - ids) * (own.0 - ids));
    let (product, square): (f64, f64) = (product.sum(), square.sum());
    (square > 0.0).then(|| product / square)
}

/// What was asked for.
pub(crate) fn describe(sheet: &mut Sheet, options: &LedgerOptions, users: u32) {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let name = |text: String| text.to_ascii_lowercase();
    sheet
        .section("load")
        .put("entries", options.entries)
        .put("users", users)
        .put("events_per_batch", options.batch)
        .put("batches_in_flight", options.in_flight)
        .put("spread", name(format!("{:?}", options.spread)))
        .put("ids", name(format!("{:?}", options.ids)))
        .put("duplicates_percent", options.duplicates.percent())
        .put("withdrawals_percent", options.withdrawals.percent())
        .put("mix", name(format!("{:?}", options.mix)))
        .put("seed", options.seed)
        .put("processors", cores);
}

/// Bytes of resident memory that each of so many brought.
pub(crate) fn growth(before: Option<u64>, after: Option<u64>, count: u64) -> Value {
    let (Some(before), Some(after)) = (before, after) else {
        return Value::Null;
    };
    json!((after as f64 - before as f64) / count.max(1) as f64)
}

/// What the timed part showed.
pub(crate) fn figures<S>(sheet: &mut Sheet, driver: &Driver<S>, paused: &Paused) {
    let (tally, meter) = (&driver.tally, &driver.meter);
    let (reading, entries) = (meter.read(), tally.entries());
    let (others, stolen) = meter.others_percent();
    sheet
        .section("book")
        .put("entries_per_second", per_second(entries, reading.wall))
        .put("processor_us_per_entry", micros_each(reading.used, entries))
        // What is resent or refused is decided on as well, and leaves no entry.
        .put(
            "processor_us_per_decision",
            micros_each(reading.used, entries + tally.duplicates + tally.refused),
        )
        .put(
            "decisions_per_second",
            per_second(entries + tally.duplicates + tally.refused, reading.wall),
        );
    if let Some(server) = meter.along_used_if_any() {
        sheet.put(
            "server_processor_us_per_entry",
            micros_each(server, entries),
        );
    }
    sheet
        .put("timed_seconds", reading.wall.as_secs_f64())
        .put("entries", entries)
        .put("events_credited", tally.credited)
        .put("events_duplicate", tally.duplicates)
        .put("events_refused", tally.refused)
        .put("withdrawals_held", tally.withdrawn)
        .put("withdrawals_refused", tally.not_withdrawn)
        .put(
            "storage_bytes_written_per_entry",
            meter.written() as f64 / entries.max(1) as f64,
        )
        .put(
            "resident_bytes_per_remembered_id",
            slope(&paused.memory).map_or(Value::Null, Value::from),
        )
        .put("others_used_percent_of_machine", others)
        .put("host_took_percent_of_machine", stolen)
        .put("made_up_outside_seconds", paused.wall.as_secs_f64())
        .put(
            "store_processor_us_per_entry_outside",
            micros_each(paused.others, entries),
        );
    sheet
        .section("batch_of_events")
        .put_all(driver.earned.shown());
    if driver.withdrew.len() > 0 {
        sheet
            .section("batch_of_withdrawals")
            .put_all(driver.withdrew.shown());
    }
    sheet
        .section("over_time")
        .put("intervals", intervals(&driver.marks, &driver.earned));
}

/// What of the memory is there for ids, by the store's own count.
pub(crate) fn held(sheet: &mut Sheet, tally: &Tally, bytes: u64) {
    let ids = tally.entries();
    sheet
        .section("memory_of_ids")
        .put("ids", ids)
        .put("bytes", bytes)
        .put("bytes_per_id", bytes as f64 / ids.max(1) as f64);
}

/// What the full mix was made of, by the generator's word.
pub(crate) fn happened(sheet: &mut Sheet, happened: &Happened) {
    sheet
        .section("mix")
        .put("events_taken_back", happened.taken_back)
        .put("of_them_leaving_a_debt", happened.owed)
        .put("events_paying_a_debt", happened.repaid)
        .put("transfers_between_users", happened.given)
        .put("events_that_cool_off", happened.cooling);
    let refused = happened.refused.iter();
    let refused = refused.map(|(code, count)| json!({ "code": code, "events": count }));
    sheet.put("refused", Value::Array(refused.collect()));
}

/// Figures between each two marks, so that a decline shows.
fn intervals(marks: &[Mark], latencies: &Latencies) -> Value {
    let mut before = Mark::default();
    let mut rows = Vec::new();
    for mark in marks {
        let entries = mark.entries - before.entries;
        let wall = mark.reading.wall.saturating_sub(before.reading.wall);
        let used = mark.reading.used.saturating_sub(before.reading.used);
        let batches = latencies.between(before.batches, mark.batches);
        let at = batches.at(&[500, 990]);
        rows.push(json!({
            "at_entries": mark.entries,
            "batch_p50_ms": at[0],
            "batch_p99_ms": at[1],
            "entries_per_second": per_second(entries, wall),
            "processor_us": micros_each(used, entries),
        }));
        before = *mark;
    }
    Value::Array(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(ids: u64, resident: u64) -> Remembered {
        Remembered {
            ids,
            resident: Some(resident),
        }
    }

    #[test]
    fn memory_grows_as_the_line_does_that_all_are_nearest_to() {
        let line = [10, 20, 40].map(|ids| remembered(ids, 1_000 + 3 * ids));
        assert_eq!(slope(&line), Some(3.0));
        // Whatever is there once more in the middle does not make it steeper.
        let merge = [(10, 1_020), (20, 1_100), (30, 1_060)];
        let slope_of = |points: &[(u64, u64)]| {
            let points = points.iter().map(|own| remembered(own.0, own.1));
            slope(&points.collect::<Vec<_>>())
        };
        assert_eq!(slope_of(&merge), Some(2.0));
        assert_eq!(slope_of(&[(10, 1_020)]), None);
        assert_eq!(slope_of(&[]), None);
        let untold = Remembered {
            ids: 50,
            resident: None,
        };
        assert_eq!(slope(&[line[0], line[1], untold]), None);
    }
}
