//! Which files a tool may touch: system libraries and the input to read, the scratch folder to write.
//!
//! # Source
//! <https://docs.kernel.org/userspace-api/landlock.html>

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest interface that these rules were written for; an older kernel gets those of them that it knows.
const KNOWN: ABI = ABI::V6;

/// Where programs and their libraries live.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix/store", "/gnu/store"];

/// What the dynamic loader, the C library and encoders look at: caches and the shape of the machine. Nothing here
/// tells of users, of other processes or of the network.
const LOOKED_AT: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    // Fonts of subtitles; the fonts themselves are below `/usr`.
    "/etc/fonts",
    "/var/cache/fontconfig",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Puts the rules on this process and its children.
pub(super) fn restrict(reads: &[PathBuf], writes: &[PathBuf], tool: Option<&Path>) -> Result<(), String> {
    match build(reads, writes, tool) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
        Ok(RulesetStatus::NotEnforced) => Err("the kernel does not have it, or it is switched off".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn build(reads: &[PathBuf], writes: &[PathBuf], tool: Option<&Path>) -> Result<RulesetStatus, landlock::RulesetError> {
    let run = AccessFs::from_read(KNOWN);
    let look = run & !BitFlags::from(AccessFs::Execute);
    let devices =
        AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
    let keep = AccessFs::from_all(KNOWN) & !devices;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        // Paths that do not exist are passed over by `path_beneath_rules`.
        .add_rules(path_beneath_rules(SYSTEM, run))?
        .add_rules(path_beneath_rules(tool, run))?
        .add_rules(path_beneath_rules(LOOKED_AT, look))?
        .add_rules(path_beneath_rules(reads, look))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(writes, keep))?
        .restrict_self()?;
    Ok(status.ruleset)
}
