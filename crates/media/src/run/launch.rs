//! The launcher's orders, as the settings have them: the sandbox of a tool, and how much it may take.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::process::{Most, option};
use crate::settings::{Launcher, ToolSettings};

/// Memory that a tool may reserve beyond what it may use, in bytes: the stacks of its threads, mostly.
const RESERVED: u64 = 2 << 30;
/// Addresses that a tool may map beyond that: libraries, files, what an allocator sets aside, and that for each core.
const MAPPED: u64 = 16 << 30;
const MAPPED_PER_CORE: u64 = 1 << 30;

impl ToolSettings {
    /// The launcher and its orders, for a tool that reads these inputs and may take that long.
    pub(crate) fn launch(&self, inputs: &[&Path], wall: Duration) -> Vec<OsString> {
        let Launcher { program, args } = &self.launcher;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let mut line: Vec<OsString> = vec![program.into()];
        line.extend(args.iter().cloned());
        option(&mut line, "--mode", self.sandbox.as_str());
        option(&mut line, "--parent", std::process::id().to_string());
        // The watchdog counts what is in use; the kernel's own limits count what is reserved, stacks of threads too, and
        // are for what grows faster than the watchdog looks. An allocator reserves for each core much more than it uses.
        let data = self.limits.memory_bytes.saturating_add(RESERVED);
        let mapped = data.saturating_add(MAPPED).saturating_add(MAPPED_PER_CORE.saturating_mul(cores));
        option(&mut line, "--data", data.to_string());
        option(&mut line, "--address-space", mapped.to_string());
        option(&mut line, "--processes", self.limits.processes.to_string());
        option(&mut line, "--file-size", self.limits.output_bytes.to_string());
        option(&mut line, "--cpu-seconds", wall.as_secs().saturating_mul(cores).to_string());
        for input in inputs {
            option(&mut line, "--read", input);
        }
        line
    }

    /// How much a tool may take.
    pub(crate) fn most(&self, is_alone: bool) -> Most {
        let (memory_bytes, processes) = (self.limits.memory_bytes, self.limits.processes);
        Most { memory_bytes, processes, files_bytes: self.limits.output_bytes, is_alone }
    }
}
