//! `lingqian sql`: questions about the books in SQL, one at a time or one given, never a change.

use std::io::{BufRead as _, IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::bail;
use lingqian_sqlite::Refused;

use crate::books::{Asked, Books};
use crate::cli::Sql;
use crate::home::Home;
use crate::table::{Csv, Json, Plain};

const HELP: &str = "\
Statements end with `;`. The books are only read; every statement sees one moment.
.tables         every relation with what it says
.schema NAME    a relation's columns
.quit           ends it; so does the end of the input
Amounts end in _micros (micro-yuan; 10,000 are one fen) or _fen. Other times in stored tables are
milliseconds since 1970-01-01 in UTC, days are days since then in Asia/Shanghai.
";

/// In which form answers are printed.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Csv,
    Json,
}

/// Runs the command.
///
/// # Errors
/// When the books cannot be read, or a given statement has no answer.
pub(crate) fn run(home: &Home, options: &Sql, json: bool) -> anyhow::Result<ExitCode> {
    let shell = Books::open(home)?.shell()?;
    let form = match (json, options.csv) {
        (true, _) => Form::Json,
        (false, true) => Form::Csv,
        (false, false) => Form::Plain,
    };
    match &options.command {
        Some(given) => {
            let statements = Statements::default().add(given).end();
            for statement in statements {
                answer(&shell, form, &statement)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        None => talk(&shell, form),
    }
}

/// Reads statements until the input ends. A refused one ends nothing, but the exit code tells.
fn talk(shell: &Asked, form: Form) -> anyhow::Result<ExitCode> {
    let person = std::io::stdin().is_terminal();
    let mut statements = Statements::default();
    let (mut line, mut code) = (String::new(), ExitCode::SUCCESS);
    let mut refused = |error: anyhow::Error| {
        eprintln!("error: {error:#}");
        if !person {
            code = ExitCode::FAILURE;
        }
    };
    if person {
        eprintln!("The books, to be read in SQL. `.help` says more, `.quit` ends it.");
    }
    loop {
        if person {
            eprint!(
                "{}",
                if statements.is_empty() {
                    "lingqian> "
                } else {
                    "     ...> "
                }
            );
        }
        line.clear();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            break;
        }
        let word = line.trim();
        if statements.is_empty() && word.starts_with('.') {
            if matches!(word, ".quit" | ".exit") {
                return Ok(code);
            }
            if let Err(error) = dot(shell, word) {
                refused(error);
            }
            continue;
        }
        for statement in statements.take(&line) {
            if let Err(error) = answer(shell, form, &statement) {
                refused(error);
            }
        }
    }
    for statement in statements.end() {
        if let Err(error) = answer(shell, form, &statement) {
            refused(error);
        }
    }
    Ok(code)
}

fn dot(shell: &Asked, line: &str) -> anyhow::Result<()> {
    let (word, name) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        ".help" => quietly(write!(std::io::stdout(), "{HELP}")),
        ".tables" => {
            let tables = shell.tables()?;
            let wide = tables.iter().map(|(name, _)| name.len()).max();
            let wide = wide.unwrap_or(0) + 2;
            let lines = tables.into_iter();
            let text: String = lines
                .map(|(name, words)| format!("{name:<wide$}{words}\n"))
                .collect();
            quietly(write!(std::io::stdout(), "{text}"))
        }
        ".schema" => match shell.schema(name.trim())? {
            Some(text) => quietly(write!(std::io::stdout(), "{text}")),
            None => bail!("there is no relation {}; `.tables` lists them", name.trim()),
        },
        _ => bail!("{word} is none of .help, .tables, .schema and .quit"),
    }
}

/// Whoever reads only the first lines is not an error.
fn quietly(written: std::io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn answer(shell: &Asked, form: Form, statement: &str) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let asked = match form {
        Form::Plain => {
            let mut table = Plain::new(&mut out);
            shell
                .ask(statement, &mut table)
                .and_then(|()| table.end().map_err(Refused::Output))
        }
        Form::Csv => shell.ask(statement, &mut Csv::new(&mut out)),
        Form::Json => {
            let mut list = Json::new(&mut out);
            shell
                .ask(statement, &mut list)
                .and_then(|()| list.end().map_err(Refused::Output))
        }
    };
    match asked {
        Ok(()) => quietly(out.flush()),
        Err(Refused::Output(error)) => quietly(Err(error)),
        Err(refused) => Err(refused.into()),
    }
}

/// Text that is cut into statements at each `;` outside of quotes and comments.
#[derive(Debug, Default)]
struct Statements {
    text: String,
}

impl Statements {
    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn add(mut self, text: &str) -> Statements {
        self.text.push_str(text);
        self
    }

    /// The statements that a line completes.
    fn take(&mut self, line: &str) -> Vec<String> {
        self.text.push_str(line);
        let mut whole = Vec::new();
        while let Some(end) = end_of_statement(&self.text) {
            let rest = self.text.split_off(end);
            let statement = std::mem::replace(&mut self.text, rest);
            if statement.trim() != ";" {
                whole.push(statement);
            }
        }
        whole
    }

    /// All statements, the last of which needs no `;`.
    fn end(mut self) -> Vec<String> {
        let mut statements = self.take("");
        if !self.is_empty() {
            statements.push(self.text);
        }
        statements
    }
}

/// The place after the first `;` that ends a statement.
fn end_of_statement(text: &str) -> Option<usize> {
    let mut closing: Option<&str> = None;
    let mut place = 0;
    while let Some(next) = text[place..].chars().next() {
        let rest = &text[place..];
        let step = match closing {
            Some(end) if rest.starts_with(end) => {
                closing = None;
                end.len()
            }
            Some(_) => next.len_utf8(),
            None if next == ';' => return Some(place + 1),
            None => {
                let opened = [
                    ("'", "'"),
                    ("\"", "\""),
                    ("`", "`"),
                    ("[", "]"),
                    ("--", "\n"),
                    ("/*", "*/"),
                ];
                let opened = opened
                    .into_iter()
                    .find(|(begin, _)| rest.starts_with(begin));
                closing = opened.map(|(_, end)| end);
                opened.map_or(next.len_utf8(), |(begin, _)| begin.len())
            }
        };
        place += step;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let cut = |text: &str| Statements::default().add(text).end();
        assert_eq!(cut("SELECT 1"), ["SELECT 1"]);
        assert_eq!(
            cut("SELECT 1;;\nSELECT ';'\n;"),
            ["SELECT 1;", "\nSELECT ';'\n;"]
        );
        assert_eq!(
            cut("SELECT 'it''s;' -- no; end\n, \"a;b\";"),
            ["SELECT 'it''s;' -- no; end\n, \"a;b\";"]
        );
        assert_eq!(cut("/* ; */ SELECT [;] ; "), ["/* ; */ SELECT [;] ;"]);
        assert_eq!(cut(" \n "), [] as [&str; 0]);
        let mut lines = Statements::default();
        assert_eq!(lines.take("SELECT '零\n"), [] as [&str; 0]);
        assert_eq!(lines.take("钱;';\n"), ["SELECT '零\n钱;';"]);
        assert!(lines.is_empty());
    }
}
