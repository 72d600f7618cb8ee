//! The proof at the level of the system: real processes under real faults, by command and for as
//! long as it takes. The harness is `crates/chaos`.

use std::path::Path;

use clap::Args;

use crate::{call, needs};

/// What to run.
#[derive(Args)]
pub(crate) struct System {
    /// Build the executable as it is shipped, for long runs.
    #[arg(long)]
    release: bool,
    /// Passed on to the harness: `--seconds N --seed N --store sqlite|postgres --processes N
    /// --faults kill,stop,cut-db,cut-wechat,cut-client,wechat,notify --runs N`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, options: &System) -> anyhow::Result<()> {
    needs::ensure(root)?;
    let packages = [
        "build",
        "--locked",
        "-p",
        "lingqian",
        "-p",
        "lingqian-chaos",
    ];
    let (profile, folder) = if options.release {
        (&["--release"][..], "release")
    } else {
        (&[][..], "debug")
    };
    call(root, "cargo", &[&packages[..], profile].concat())?;
    let place = |name: &str| format!("target/{folder}/{name}");
    let (harness, binary) = (place("lingqian-chaos"), place("lingqian"));
    let own = options.arguments.iter().map(String::as_str);
    let arguments: Vec<&str> = ["--binary", &binary].into_iter().chain(own).collect();
    call(root, &root.join(harness).to_string_lossy(), &arguments)
}
