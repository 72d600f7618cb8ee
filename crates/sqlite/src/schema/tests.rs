//! How statements are prepared.

use std::collections::BTreeMap;
use std::fs;

use rusqlite::{Statement, StatementStatus, params_from_iter};

use super::*;

/// Questions to tables that earlier schemas had.
const OF_EARLIER_SCHEMAS: [&str; 2] = ["names_in_rows", "row_entries"];

/// Every statement of the store by its name.
fn statements() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let files = fs::read_dir(folder).expect("a folder");
    let file = |path: &Path| {
        let name = path.file_stem().expect("a name").to_string_lossy();
        (name.into_owned(), fs::read_to_string(path).expect("a text"))
    };
    files
        .map(|entry| file(&entry.expect("a file").path()))
        .filter(|(name, _)| !OF_EARLIER_SCHEMAS.contains(&name.as_str()))
        .collect()
}

/// Runs a statement with one number in every place, whatever comes of it.
fn run(statement: &mut Statement<'_>, number: i64) {
    let values = params_from_iter(vec![number; statement.parameter_count()]);
    if let Ok(mut rows) = statement.query(values) {
        while let Ok(Some(_)) = rows.next() {}
    }
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {statement}");
    let mut explained = connection.prepare(&explained).expect(statement);
    let values = params_from_iter(vec![1; explained.parameter_count()]);
    let lines = explained.query_map(values, |row| row.get(3));
    lines.and_then(Iterator::collect).expect(statement)
}

#[test]
fn no_statement_is_planned_anew_for_another_value_nor_worse_than_for_this_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let ours = open_writer(&path, &Options::default()).expect("it opens");
    let usual = Connection::open(&path).expect("it opens");
    let all = statements();
    assert!(all.len() > 100, "{}", all.len());
    for (name, statement) in &all {
        ours.execute_batch("BEGIN").expect("begins");
        let mut prepared = ours.prepare(statement).expect(name);
        for number in [1, 2, 3] {
            run(&mut prepared, number);
        }
        assert_eq!(prepared.get_status(StatementStatus::RePrepare), 0, "{name}");
        drop(prepared);
        if !ours.is_autocommit() {
            ours.execute_batch("ROLLBACK").expect("goes back");
        }
        assert_eq!(plan(&ours, statement), plan(&usual, statement), "{name}");
    }
}
