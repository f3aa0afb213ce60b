//! The room in which a tool runs: little to read, one folder to write, no network, bounded appetite.
//!
//! Layers can only be put on from inside the process that shall wear them, and code between `fork` and `exec` is
//! unsafe in a program with threads. So the program starts *itself* as a launcher, with the layers as arguments;
//! the launcher, a fresh process with one thread, puts them on and then becomes the tool:
//!
//! ```text
//! LAUNCHER --mode auto --parent 4711 --read INPUT --write SCRATCH --file-size N ... -- /usr/bin/ffmpeg ...
//! LAUNCHER --mode auto --parent 4711 --read INPUT --write SCRATCH --file-size N ... --reader
//! ```
//!
//! With `--reader` it becomes no tool but does itself what a [`Reader`](crate::Reader) asks; with `--cutter TASK` it cuts a
//! subject out of frames.
//!
//! In order: death with the parent, resource limits and lowest priority, Landlock, seccomp, `exec`. Landlock and
//! seccomp both set `no_new_privs`. A layer that the kernel lacks is left out in mode `auto` and is an end in mode
//! `require`; so is a Landlock that is older than [`LEAST_LANDLOCK`]. With `--report` nothing is started: the layers that
//! took hold are printed, one a line.

mod landlock;
mod limits;
mod seccomp;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use self::limits::Bounds;
use self::seccomp::Starts;

/// Whether tools run in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// With every layer that the kernel has.
    Auto,
    /// With all layers, or not at all.
    Require,
    /// With resource limits alone.
    Off,
}

impl SandboxMode {
    /// The spelling in settings and on the launcher's command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Require => "require",
            Self::Off => "off",
        }
    }

    /// The one of that spelling.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Auto, Self::Require, Self::Off].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The oldest interface of Landlock with which the sandbox counts as whole: from it on, a file that may only be read
/// cannot be emptied. Linux 6.2 has it.
pub const LEAST_LANDLOCK: u32 = 3;

/// What each interface of Landlock added, by its number, where a kernel without it leaves something open.
const ADDED: &[(u32, &str)] = &[
    (3, "emptying of files that may only be read"),
    (4, "TCP (which seccomp closes)"),
    (5, "requests to devices (which seccomp narrows)"),
    (6, "abstract sockets and signals (which seccomp closes)"),
];

/// The layers of the sandbox that this machine offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Landlock, which files may be touched: the number of its interface (ABI), 0 where there is none.
    pub landlock: u32,
    /// seccomp: which system calls may be made; none that reach a network.
    pub seccomp: bool,
}

impl Layers {
    /// What is missing, in words; empty when nothing is.
    pub fn missing(self) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        missing.extend(old(self.landlock));
        if !self.seccomp {
            missing.push("seccomp".to_owned());
        }
        missing
    }

    /// What Landlock would also close if the kernel were newer.
    pub fn left_open(self) -> Vec<&'static str> {
        ADDED.iter().filter(|(number, _)| *number > self.landlock).map(|(_, what)| *what).collect()
    }

    pub(crate) fn parse(report: &str) -> Self {
        let words = || report.lines().map(str::trim);
        let landlock = words().find_map(|line| line.strip_prefix("landlock ")?.parse().ok());
        Self { landlock: landlock.unwrap_or(0), seccomp: words().any(|line| line == "seccomp") }
    }
}

/// What is wrong with a Landlock of that number, if anything is.
fn old(landlock: u32) -> Option<String> {
    match landlock {
        0 => Some("Landlock".to_owned()),
        number if number < LEAST_LANDLOCK => {
            Some(format!("Landlock ABI {LEAST_LANDLOCK} (Linux 6.2; this kernel has ABI {number})"))
        }
        _ => None,
    }
}

/// Exit code of the launcher when it could not become the tool. The tools themselves do not end with it.
pub(crate) const LAUNCH_FAILED: i32 = 125;

/// What the launcher was asked to do.
#[derive(Debug, PartialEq)]
struct Orders {
    mode: SandboxMode,
    report: bool,
    reader: bool,
    cutter: Option<String>,
    parent: Option<i32>,
    reads: Vec<PathBuf>,
    writes: Vec<PathBuf>,
    bounds: Bounds,
    starts: Starts,
    tool: Vec<OsString>,
}

/// Puts the sandbox on this process and becomes the tool named after `--`. Comes back only when that failed, after
/// `--report`, and when a reader is no longer needed.
///
/// The whole life of the launcher: call it from `main`, before any thread is started.
pub fn enter(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let failure = match Orders::read(arguments.into_iter()).and_then(|orders| obey(&orders)) {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    // Standard error is all that a launcher has; when even that is gone, the exit code still tells.
    let _ = writeln!(std::io::stderr(), "reelhook sandbox: {failure}");
    ExitCode::from(125)
}

fn obey(orders: &Orders) -> Result<ExitCode, String> {
    limits::die_with(orders.parent)?;
    // A rule of Landlock holds for what a link points to: one that a tool left would open the file behind it to the next.
    if let Some(link) = orders.reads.iter().chain(&orders.writes).find(|path| path.is_symlink()) {
        return Err(format!("{} is a symbolic link", link.display()));
    }
    orders.bounds.apply()?;
    let layers = match orders.mode {
        SandboxMode::Off => Layers::default(),
        SandboxMode::Auto | SandboxMode::Require => {
            let tool = orders.tool.first().map(PathBuf::from);
            let landlock = landlock::restrict(&orders.reads, &orders.writes, tool.as_deref());
            let seccomp = seccomp::restrict(orders.starts);
            if orders.mode == SandboxMode::Require {
                let number = landlock.as_ref().map_err(|error| format!("Landlock is required: {error}"))?;
                old(*number).map_or(Ok(()), |needed| Err(format!("{needed} is required")))?;
                seccomp.as_ref().map_err(|error| format!("seccomp is required: {error}"))?;
            }
            Layers { landlock: landlock.unwrap_or(0), seccomp: seccomp.is_ok() }
        }
    };
    if orders.report {
        let mut said = String::new();
        if layers.landlock > 0 {
            said = format!("landlock {}\n", layers.landlock);
        }
        if layers.seccomp {
            said.push_str("seccomp\n");
        }
        std::io::stdout().write_all(said.as_bytes()).map_err(|error| error.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if orders.reader {
        return Ok(match crate::reader::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        });
    }
    if let Some(task) = &orders.cutter {
        return Ok(ExitCode::from(crate::cutter::serve(task)));
    }
    let (program, arguments) = orders.tool.split_first().ok_or("no program is named after --")?;
    #[expect(clippy::disallowed_methods, reason = "no process is started: this one becomes the tool")]
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(format!("cannot start {}: {error}", program.display()))
}

impl Orders {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut orders = Self {
            mode: SandboxMode::Auto,
            report: false,
            reader: false,
            cutter: None,
            parent: None,
            reads: Vec::new(),
            writes: Vec::new(),
            bounds: Bounds::default(),
            starts: Starts::Processes,
            tool: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let name = name.into_string().map_err(|_| "an option is not text".to_owned())?;
            match name.as_str() {
                "--" => {
                    orders.tool = arguments.collect();
                    break;
                }
                "--report" => orders.report = true,
                "--reader" => orders.reader = true,
                "--no-processes" => orders.starts = Starts::Threads,
                _ => {
                    let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
                    orders.set(&name, value)?;
                }
            }
        }
        Ok(orders)
    }

    fn set(&mut self, name: &str, value: OsString) -> Result<(), String> {
        match name {
            "--read" => {
                self.reads.push(value.into());
                return Ok(());
            }
            "--write" => {
                self.writes.push(value.into());
                return Ok(());
            }
            _ => {}
        }
        let text = value.to_str().ok_or_else(|| format!("{name} is not text"))?;
        let number = || text.parse::<u64>().map_err(|_| format!("{name} must be a whole number"));
        match name {
            "--mode" => {
                self.mode = SandboxMode::from_word(text).ok_or("--mode must be auto, require or off")?;
            }
            "--cutter" => self.cutter = Some(text.to_owned()),
            "--parent" => self.parent = Some(text.parse().map_err(|_| "--parent must be a process id".to_owned())?),
            "--data" => self.bounds.data_bytes = Some(number()?),
            "--processes" => self.bounds.processes = Some(number()?),
            "--address-space" => self.bounds.address_space_bytes = Some(number()?),
            "--file-size" => self.bounds.file_size_bytes = Some(number()?),
            "--cpu-seconds" => self.bounds.cpu_seconds = Some(number()?),
            _ => return Err(format!("{name} is unknown")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Orders, String> {
        Orders::read(arguments.iter().map(OsString::from))
    }

    #[test]
    fn what_follows_the_two_dashes_is_the_tools_own() {
        let orders =
            read(&["--mode", "require", "--read", "/in", "--write", "/out", "--", "ffmpeg", "--read"]).unwrap();
        assert_eq!(orders.mode, SandboxMode::Require);
        assert_eq!(orders.reads, [PathBuf::from("/in")]);
        assert_eq!(orders.writes, [PathBuf::from("/out")]);
        assert_eq!(orders.tool, ["ffmpeg", "--read"]);
    }

    #[test]
    fn an_order_that_is_not_understood_is_refused() {
        for wrong in [&["--mode", "maybe"][..], &["--read"], &["--color", "red"], &["--file-size", "-1"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_report_names_the_layers_that_hold() {
        let layers = Layers::parse("landlock 6\n");
        assert_eq!(layers, Layers { landlock: 6, seccomp: false });
        assert_eq!(layers.missing(), ["seccomp"]);
        assert_eq!(Layers::parse("seccomp\n").missing(), ["Landlock"]);
        assert!(Layers::parse("landlock 3\nseccomp\n").missing().is_empty());
    }

    #[test]
    fn a_landlock_that_cannot_keep_files_from_being_emptied_is_not_enough() {
        for number in 1..LEAST_LANDLOCK {
            let missing = Layers { landlock: number, seccomp: true }.missing();
            assert_eq!(missing, [format!("Landlock ABI 3 (Linux 6.2; this kernel has ABI {number})")]);
        }
        assert_eq!(Layers { landlock: 3, seccomp: true }.left_open().len(), 3);
        assert!(Layers { landlock: 6, seccomp: true }.left_open().is_empty());
    }
}
