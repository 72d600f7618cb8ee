//! `lingqian sim`: the pretend world, seed after seed.

use std::process::ExitCode;

use lingqian_sim::command::{self, FOUND, Options};

use crate::cli::Sim;

/// Runs it on a thread of its own: the simulator polls its futures by hand and needs no runtime.
pub(crate) async fn run(options: Sim) -> anyhow::Result<ExitCode> {
    let Sim {
        seed,
        seeds,
        steps,
        until,
        trace,
        story,
        crash_points,
        no_shrink,
    } = options;
    let options = Options {
        seed,
        seeds: seeds.unwrap_or(if until.is_some() { u64::MAX } else { 100 }),
        steps,
        until,
        trace,
        shrink: !no_shrink,
        story: story.map(|path| path.to_string_lossy().into_owned()),
        crash_points,
        plain: false,
    };
    let run = move || command::run(&options, &mut |line| println!("{line}"));
    let found = tokio::task::spawn_blocking(run).await?;
    Ok(ExitCode::from(if found { FOUND } else { 0 }))
}
