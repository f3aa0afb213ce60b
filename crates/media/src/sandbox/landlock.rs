//! Which files a tool may touch: system libraries and the input to read, the scratch folder to write.
//!
//! In the scratch folder a tool makes plain files and folders, and nothing else: no symbolic link that the server could
//! follow, no pipe on which it could hang, no name for a file that lies in another folder.
//!
//! # Source
//! <https://docs.kernel.org/userspace-api/landlock.html>

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};

/// The newest interface that these rules were written for; an older kernel gets those of them that it knows.
const KNOWN: ABI = ABI::V6;

/// Each interface with its number, oldest first.
const NUMBERED: &[(ABI, u32)] =
    &[(ABI::V1, 1), (ABI::V2, 2), (ABI::V3, 3), (ABI::V4, 4), (ABI::V5, 5), (ABI::V6, 6), (ABI::V7, 7)];

/// Where programs and their libraries live.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix/store", "/gnu/store"];

/// What the dynamic loader, the C library and encoders look at: caches, the shape of the machine, and the process
/// itself. Nothing here describes users, other processes or the network; `/proc/self` as a whole would, through `net`
/// and `mountinfo`, so its entries are listed singly.
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
    "/proc/self/auxv",
    "/proc/self/cmdline",
    "/proc/self/comm",
    "/proc/self/limits",
    "/proc/self/maps",
    "/proc/self/stat",
    "/proc/self/statm",
    "/proc/self/status",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Puts the rules on this process and its children. Gives the number of the interface that the kernel has.
pub(super) fn restrict(reads: &[PathBuf], writes: &[PathBuf], tool: Option<&Path>) -> Result<u32, String> {
    match build(reads, writes, tool) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => Ok(number(effective_abi)),
        Ok(LandlockStatus::NotEnabled) => Err("it is switched off; boot the kernel with lsm=landlock,...".to_owned()),
        Ok(LandlockStatus::NotImplemented) => Err("the kernel does not have it; Linux 6.2 and later do".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn number(abi: ABI) -> u32 {
    NUMBERED.iter().rev().find(|(known, _)| *known <= abi).map_or(0, |(_, number)| *number)
}

fn build(reads: &[PathBuf], writes: &[PathBuf], tool: Option<&Path>) -> Result<LandlockStatus, RulesetError> {
    let run = AccessFs::from_read(KNOWN);
    let look = run & !BitFlags::from(AccessFs::Execute);
    let keep = look
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir;
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
    Ok(status.landlock)
}
