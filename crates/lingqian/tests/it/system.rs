//! Half a minute of every fault on each store, held against the books, WeChat's own books and the
//! logs. `cargo xtask system` does the same for hours; see docs/CHAOS.md.

use lingqian_chaos::history::Fate;
use lingqian_chaos::run::{Outcome, run};
use lingqian_chaos::settings::{Settings, Store};

/// Always the same faults, so that a failure is seen again.
const SEED: u64 = 20_261_125;

async fn proved(store: Store) -> Outcome {
    let dir = std::env::temp_dir().join(format!("lingqian-system-{store:?}").to_lowercase());
    let _ = std::fs::remove_dir_all(&dir);
    let binary = env!("CARGO_BIN_EXE_lingqian").into();
    let settings = Settings {
        seed: SEED,
        ..Settings::new(binary, dir.clone(), store)
    };
    let outcome = run(&settings).await.expect("the harness works");
    let account = outcome.report.account(&outcome.findings);
    assert!(outcome.findings.is_empty(), "{account}");
    println!("{account}");
    // A run in which nothing happened would prove nothing.
    let report = &outcome.report;
    assert!(report.fate(Fate::Ok) > 200, "{account}");
    assert!(report.fate(Fate::Info) > 10, "{account}");
    assert!(report.payouts("paid") > 20, "{account}");
    for kind in ["kills", "stops", "cuts", "faults of WeChat"] {
        assert!(report.struck(kind) > 0, "{kind}: {account}");
    }
    let _ = std::fs::remove_dir_all(&dir);
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_over_a_file_loses_and_doubles_nothing_under_any_fault() {
    proved(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_over_a_database_lose_and_double_nothing_under_any_fault() {
    let outcome = proved(Store::Postgres).await;
    let report = &outcome.report;
    assert!(report.struck("database blows") > 0, "{report}");
}
