//! `reelhook selftest`, as an operator runs it.

mod program;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program with its temporary files in that folder.
fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the program under test is no child of a job")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelhook"));
    command.args(arguments).env("TMPDIR", folder).env_remove("REELHOOK_CONFIG").output().expect("the program ends")
}

#[test]
fn every_case_holds() {
    let (code, out, err) = program::shown(&program::run(&["selftest", "--json"], ""));
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let cases = told["cases"].as_array().expect("cases are told");
    assert!(cases.len() >= 25, "{out}");
    let mut wrong = Vec::new();
    for case in cases {
        for field in ["group", "name", "expected", "got", "check"] {
            assert!(case[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {case}");
        }
        assert_eq!(case["holds"], case["expected"] == case["got"], "{case}");
        if case["holds"] != true {
            wrong.push(case);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((&told["ok"], code), (&true.into(), Some(0)), "{err}");
}

#[test]
fn what_is_asked_for_is_shown_as_a_table_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["selftest", "--only", "bomb", "--only", "link", "--only", "7-zip", "--only", "playlist"];
    let (code, out, err) = program::shown(&run_in(folder.path(), &arguments));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    let heading: Vec<_> = lines[0].split("  ").filter(|cell| !cell.trim().is_empty()).map(str::trim).collect();
    assert_eq!(heading, ["GROUP", "CASE", "EXPECTED", "GOT", "CHECKED BY"]);
    let rows = &lines[1..lines.len() - 2];
    assert_eq!(rows.len(), 4, "{out}");
    for row in rows {
        assert!(row.starts_with("holds  ") && row.contains("  the same  "), "{row}");
    }
    assert_eq!(lines[lines.len() - 1], "4 of 4 cases hold.");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the temporary folder is empty again");
}

#[test]
fn what_is_not_there_and_what_cannot_be_made_are_told() {
    let (code, _, err) = program::shown(&program::run(&["selftest", "--only", "nothing of the kind"], ""));
    assert_eq!(code, Some(2));
    assert!(err.contains("the groups are pictures, colour, video, sound, archives, hostile"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("reelhook.toml");
    std::fs::write(&config, "[media]\nffmpeg = \"/nowhere/ffmpeg\"\n").unwrap();
    let arguments = ["selftest", "--only", "fast-start", "--config", config.to_str().unwrap()];
    let (code, out, err) = program::shown(&program::run(&arguments, ""));
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("/nowhere/ffmpeg") || err.contains("/nowhere/ffmpeg"), "{out}{err}");
}
