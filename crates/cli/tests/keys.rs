//! `reelhook keys`, directly in the database.

mod program;

#[test]
fn a_key_is_printed_alone_and_listed_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let keys = |arguments: &[&str]| {
        let place = ["--data", data.to_str().unwrap()];
        program::shown(&program::run(&[&["keys"], arguments, &place].concat(), ""))
    };
    let (code, key, err) = keys(&["create", "--name", "laptop"]);
    assert_eq!(code, Some(0), "{err}");
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.starts_with("rh_") && key.len() == 46 && !key.contains('\n'), "{key}");

    let (_, listed, _) = keys(&["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let kept = &listed["keys"][0];
    assert_eq!((&kept["name"], &kept["hint"]), (&"laptop".into(), &key[..7].into()));
    assert!(kept["revoked_at"].is_null());

    let id = kept["id"].as_str().unwrap();
    assert_eq!(keys(&["revoke", id]).0, Some(0));
    let (_, listed, _) = keys(&["list", "--json"]);
    assert!(!serde_json::from_str::<serde_json::Value>(&listed).unwrap()["keys"][0]["revoked_at"].is_null());
    let (code, _, err) = keys(&["revoke", "key_00000000000000000000000000"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("reelhook keys list"), "{err}");
}

#[test]
fn keys_of_another_account_are_made_listed_and_revoked_by_its_name_or_id() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let run = |arguments: &[&str]| {
        let place = ["--data", data.to_str().unwrap()];
        program::shown(&program::run(&[arguments, &place].concat(), ""))
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (code, id, err) = run(&["accounts", "create", "shop"]);
    assert_eq!(code, Some(0), "{err}");
    let id = id.trim();
    assert!(id.starts_with("acc_") && err.contains("reelhook keys create --account shop"), "{id} {err}");
    let (_, listed, _) = run(&["accounts", "list", "--json"]);
    let names: Vec<_> =
        json(&listed)["accounts"].as_array().unwrap().iter().map(|account| account["name"].clone()).collect();
    assert_eq!(names, ["default", "shop"], "the first account stays the first");

    let (code, _, err) = run(&["keys", "create", "--account", "shop", "--name", "checkout"]);
    assert_eq!(code, Some(0), "{err}");
    let (_, listed, _) = run(&["keys", "list", "--account", id, "--json"]);
    let key = &json(&listed)["keys"][0];
    assert_eq!((&key["name"], &key["account"]), (&"checkout".into(), &id.into()));
    let (_, first, _) = run(&["keys", "list", "--json"]);
    assert_eq!(json(&first)["keys"], serde_json::json!([]), "the first account has none");

    let key = key["id"].as_str().unwrap();
    let (code, _, err) = run(&["keys", "revoke", key]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the account default has no key"), "{err}");
    assert_eq!(run(&["keys", "revoke", key, "--account", "shop"]).0, Some(0));

    for (wrong, said) in [
        (&["accounts", "create", "shop"][..], "there is an account shop already"),
        (&["accounts", "create", "a shop"], "a name has 1 to 64 letters"),
        (&["accounts", "create", "acc_1"], "does not begin with"),
        (&["keys", "create", "--account", "shp"], "there is no account \"shp\"; there are: default, shop."),
        (&["credits", "show", "--account", "shp"], "`reelhook accounts create NAME` makes one"),
    ] {
        let (code, out, err) = run(wrong);
        assert!(code.is_some_and(|code| code > 0) && out.is_empty() && err.contains(said), "{wrong:?}: {err}");
    }
}

#[test]
fn a_mistyped_folder_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("mistyped");
    let (code, _, err) = program::shown(&program::run(&["keys", "list", "--data", data.to_str().unwrap()], ""));
    assert_eq!(code, Some(1));
    assert!(err.contains("is not there"), "{err}");
    assert!(!data.exists());
}

#[test]
fn a_command_without_a_key_says_how_to_get_one() {
    let (code, _, err) = program::shown(&program::run(&["jobs", "list"], ""));
    assert_eq!(code, Some(1));
    assert!(err.contains("reelhook keys create"), "{err}");
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let arguments = ["jobs", "list", "--url", "http://127.0.0.1:1", "--key", "rh_x"];
    let (code, _, err) = program::shown(&program::run(&arguments, ""));
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot reach http://127.0.0.1:1/") && err.contains("reelhook serve"), "{err}");
}
