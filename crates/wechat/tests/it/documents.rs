//! `docs/RAILS.md` says what the tables say. `UPDATE_EXPECT=1` writes it anew.

use std::collections::BTreeSet;

use lingqian_core::transfer::Cure;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::tables::{
    BATCH, ENTERPRISE, Fate, REASONS, RED_PACKET, Refusal, Row, TRANSFER,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/RAILS.md");

fn next(cure: Cure) -> &'static str {
    match cure {
        Cure::Later => "the same order again, a little later",
        Cure::Float => "the same order again once the account has money",
        Cure::Tomorrow => "the same order again on the next day",
        Cure::Person => "the same order again; a person must change something",
        Cure::Never => "the payout ends, the money returns to the balance",
    }
}

fn again(cure: Cure) -> &'static str {
    match cure {
        Cure::Later => "another attempt, an hour later",
        Cure::Float | Cure::Person => "another attempt; a person must change something",
        Cure::Tomorrow => "another attempt on the next day",
        Cure::Never => "the payout ends, the money returns to the balance",
    }
}

fn rows(table: &[Row]) -> String {
    let mut text = String::from("| code | fate | next | what it is |\n| --- | --- | --- | --- |\n");
    for Row { code, fate, means } in table {
        let (fate, next) = match fate {
            Fate::Accepted => ("accepted", "asked about under the same number"),
            Fate::NotDone(cure) => ("not done", next(*cure)),
            Fate::Unknown => ("unknown", "asked about under the same number"),
        };
        text.push_str(&format!("| `{code}` | {fate} | {next} | {means} |\n"));
    }
    text
}

fn refusals(table: &[Refusal]) -> String {
    let mut text = String::from("| answer | next | what it is |\n| --- | --- | --- |\n");
    for row in table {
        let words = match row.words {
            "" => String::new(),
            words => format!(" {words}…"),
        };
        let (status, code, next) = (row.status, row.code, next(row.cure));
        text.push_str(&format!(
            "| {status} `{code}`{words} | {next} | {} |\n",
            row.means
        ));
    }
    text
}

fn reasons() -> String {
    let mut text = String::from("| reason | next | what it is |\n| --- | --- | --- |\n");
    for (code, cure, means) in REASONS {
        text.push_str(&format!("| `{code}` | {} | {means} |\n", again(*cure)));
    }
    text
}

#[test]
fn the_page_of_the_rails_is_that_of_the_tables() {
    let tables = [
        ("TRANSFER", refusals(TRANSFER)),
        ("BATCH", refusals(BATCH)),
        ("REASONS", reasons()),
        ("ENTERPRISE", rows(ENTERPRISE)),
        ("RED_PACKET", rows(RED_PACKET)),
    ];
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let mut wanted = page.clone();
    for (name, table) in tables {
        let (begin, end) = (
            format!("<!-- {name} -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let (head, rest) = wanted.split_once(&begin).expect(name);
        let (_, tail) = rest.split_once(&end).expect(name);
        wanted = format!("{head}{begin}\n{table}\n{end}{tail}");
    }
    for kind in RailKind::ALL {
        let name = format!("| `{}` |", kind.name());
        assert!(page.contains(&name), "no line of {}", kind.name());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PAGE, &wanted).expect("written");
    } else {
        assert!(
            page == wanted,
            "UPDATE_EXPECT=1 cargo test -p lingqian-wechat documents"
        );
    }
}

#[test]
fn no_table_has_a_code_twice() {
    for table in [ENTERPRISE, RED_PACKET] {
        let codes: BTreeSet<&str> = table.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), table.len());
    }
    let codes: BTreeSet<&str> = REASONS.iter().map(|row| row.0).collect();
    assert_eq!(codes.len(), REASONS.len());
    for table in [TRANSFER, BATCH] {
        let keys: BTreeSet<_> = table
            .iter()
            .map(|row| (row.status, row.code, row.words))
            .collect();
        assert_eq!(keys.len(), table.len());
    }
}
