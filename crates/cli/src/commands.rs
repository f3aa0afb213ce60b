//! The commands, one file each, with its arguments and examples beside what it does.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::{Cli, Command};
use crate::output;
use crate::service_manager::Given;
use crate::settings::reference;

pub(crate) mod accounts;
pub(crate) mod bench;
pub(crate) mod credits;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod models;
pub(crate) mod secrets;
pub(crate) mod selftest;
pub(crate) mod serve;
pub(crate) mod submit;
pub(crate) mod trigger;
pub(crate) mod verify;

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        // Before the runtime has threads.
        Command::Serve(args) => block_on(serve::run(args, Given::take()?)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Submit(args) => block_on(submit::run(args)),
        Command::Jobs(args) => block_on(jobs::run(args)),
        Command::Listen(args) => block_on(listen::run(args)),
        Command::Verify(args) => verify::run(&args),
        Command::Trigger(args) => block_on(trigger::run(args)),
        Command::Credits(args) => block_on(credits::run(args)),
        Command::Accounts(args) => block_on(accounts::run(args)),
        Command::Keys(args) => block_on(keys::run(args)),
        Command::Models(args) => models::run(&args),
        Command::Secrets(args) => block_on(secrets::run(args)),
        Command::Doctor(args) => block_on(doctor::run(args)),
        Command::Selftest(args) => block_on(selftest::run(args)),
        Command::Bench(args) => block_on(bench::run(args)),
        Command::Settings => {
            output::line(reference::page()?.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the async runtime cannot be started")?;
    let result = runtime.block_on(command);
    // A name that is being resolved, or a read of a terminal, cannot be interrupted; it must not keep the program.
    runtime.shutdown_background();
    result
}
