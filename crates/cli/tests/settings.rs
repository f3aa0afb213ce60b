//! The reference of the settings, and how mistakes in them are told.

mod program;

#[test]
fn the_page_of_the_settings_is_what_the_program_prints() {
    let (code, printed, _) = program::shown(&program::run(&["settings"], ""));
    assert_eq!(code, Some(0));
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md")).unwrap_or_default();
    assert!(
        printed == page,
        "docs/settings.md is out of date; run `make docs`, or: reelhook settings > docs/settings.md"
    );
}

#[test]
fn an_unknown_setting_names_the_nearest_known_one() {
    let (code, out, err) = program::shown(&program::run(&["serve", "--set", "worker.slot=2"], ""));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("worker.slot on the command line is not a setting; did you mean worker.slots?"), "{err}");
}

#[test]
fn dev_refuses_to_listen_to_others() {
    let (code, _, err) = program::shown(&program::run(&["serve", "--dev", "--listen", "0.0.0.0:0"], ""));
    assert_eq!(code, Some(2));
    assert!(err.contains("listens on loopback only"), "{err}");
}
