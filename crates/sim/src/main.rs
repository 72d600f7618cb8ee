//! The simulator by itself, as `cargo xtask sim` runs it: no other part of the platform need be
//! built for it.

use std::process::ExitCode;

use lingqian_sim::command;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command::Options::read(&arguments) {
        Ok(options) => {
            let found = command::run(&options, &mut |line| println!("{line}"));
            ExitCode::from(if found { command::FOUND } else { 0 })
        }
        Err(words) => {
            eprintln!("error: {words}");
            ExitCode::from(2)
        }
    }
}
