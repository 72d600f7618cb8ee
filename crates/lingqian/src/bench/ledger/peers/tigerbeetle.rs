//! TigerBeetle's own benchmark, where somebody has that program: it makes its own load and measures
//! itself, so its figures stand beside ours for orientation. It runs with the load that it prefers
//! (10,000 accounts, ids in their order), and with one like ours (as many accounts as there are
//! users, drawn by Zipf's law, and random ids).

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Ours;
use crate::bench::load::Load;
use crate::bench::options::LedgerOptions;
use crate::bench::sheet::Sheet;

/// Accounts that its benchmark makes at most.
const ACCOUNTS_MAX: u32 = 1_000_000;

/// What its benchmark says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    transfers_per_second: Option<u64>,
    batches: Option<u64>,
    batch_size: Option<u64>,
    batch_p50_ms: Option<u64>,
    batch_p99_ms: Option<u64>,
    batch_max_ms: Option<u64>,
    data_file_bytes: Option<u64>,
    resident_bytes: Option<u64>,
}

/// Runs its benchmark in that directory, once with its own load and once with one like ours, and
/// writes down what it says.
///
/// # Errors
/// When the program does not run or says nothing that can be read.
pub(crate) fn beside(
    sheet: &mut Sheet,
    (program, dir): (&Path, &Path),
    (options, load): (&LedgerOptions, &Load),
    ours: Ours,
) -> anyhow::Result<()> {
    let program = program
        .canonicalize()
        .with_context(|| format!("--beside-tigerbeetle: no program {}", program.display()))?;
    let accounts = load.users().min(ACCOUNTS_MAX);
    let like_ours = [
        format!("--account-count={accounts}"),
        "--account-distribution=zipfian".into(),
        "--id-order=random".into(),
    ];
    let loads: [(&str, &[String]); 2] = [("its own", &[]), ("like ours", &like_ours)];
    let mut runs = Vec::new();
    for (load, arguments) in loads {
        let mut command = Command::new(&program);
        command
            .arg("benchmark")
            .arg(format!("--transfer-count={}", options.entries))
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null());
        let said = run(&mut command)?;
        let rate = said.transfers_per_second.unwrap_or(0);
        runs.push(json!({
            "load": load,
            "transfers_per_second": said.transfers_per_second,
            "batches": said.batches,
            "transfers_per_batch": said.batch_size,
            "batch_p50_ms": said.batch_p50_ms,
            "batch_p99_ms": said.batch_p99_ms,
            "batch_max_ms": said.batch_max_ms,
            "data_file_bytes": said.data_file_bytes,
            "resident_bytes": said.resident_bytes,
            "the_books_are_times_faster": ours.rate() as f64 / rate.max(1) as f64,
        }));
    }
    sheet
        .section("tigerbeetle_by_its_own_benchmark")
        .put("transfers", options.entries)
        .put("runs", Value::Array(runs));
    Ok(())
}

/// Runs it and reads what it says.
fn run(command: &mut Command) -> anyhow::Result<Said> {
    let program = command.get_program().to_owned();
    let output = tokio::task::block_in_place(|| command.output())
        .with_context(|| format!("cannot run {}", program.display()))?;
    let said = read(&String::from_utf8_lossy(&output.stdout));
    anyhow::ensure!(
        output.status.success() && said.transfers_per_second.is_some(),
        "{} benchmark ended with {} and said nothing of the form \"load accepted = N tx/s\": {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// Reads its lines; one that is not there, or has another form, is not known.
fn read(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        if let Some((count, _)) = line.split_once(" batches in ") {
            said.batches = count.trim().parse().ok();
        }
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        let mut words = value.split_whitespace();
        let number = words.next().and_then(|number| number.parse().ok());
        let unit = words.next().unwrap_or_default();
        let name: Vec<&str> = name.split_whitespace().collect();
        match (name.as_slice(), unit) {
            (["load", "accepted"], "tx/s") => said.transfers_per_second = number,
            (["transfer", "batch", "size"], "txs") => said.batch_size = number,
            (["batch", "latency", "p50"], "ms") => said.batch_p50_ms = number,
            (["batch", "latency", "p99"], "ms") => said.batch_p99_ms = number,
            (["batch", "latency", "p100"], "ms") => said.batch_max_ms = number,
            (["datafile"], "bytes") => said.data_file_bytes = number,
            (["rss"], "bytes") => said.resident_bytes = number,
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form that its source prints (0.17), with figures of our own.
    const TEXT: &str = "1222 batches in 9.76 s
transfer batch size = 8189 txs
transfer batch delay = 0ns
load accepted = 1024501 tx/s
batch latency p1   = 4 ms
batch latency p50  = 7 ms
batch latency p99  = 21 ms
batch latency p100 = 10001 ms+ (exceeds histogram resolution)

100 queries in 0.4 s
query latency p1   = 1 ms
query latency p50  = 3 ms
query latency p99  = 9 ms
query latency p100 = 12 ms

rss = 1653575680 bytes

datafile empty = 1134821376 bytes
datafile = 5236588544 bytes
";

    #[test]
    fn what_its_benchmark_prints_is_read() {
        let said = Said {
            transfers_per_second: Some(1_024_501),
            batches: Some(1_222),
            batch_size: Some(8_189),
            batch_p50_ms: Some(7),
            batch_p99_ms: Some(21),
            // Beyond what its histogram can tell.
            batch_max_ms: None,
            data_file_bytes: Some(5_236_588_544),
            resident_bytes: Some(1_653_575_680),
        };
        assert_eq!(read(TEXT), said);
    }

    #[test]
    fn what_it_does_not_print_is_not_known() {
        assert_eq!(read(""), Said::default());
        assert_eq!(
            read("load accepted = many tx/s\nrss = 7 pages\n"),
            Said::default()
        );
    }
}
