//! `reelhook keys`, directly in the database.

use std::path::Path;

mod program;

/// Makes a server's data in that folder, as its first start does.
fn first_start(data: &Path) {
    use std::io::BufRead as _;
    #[expect(clippy::disallowed_methods, reason = "the program under test is no child of a job")]
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_reelhook"));
    server.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    let mut server = server
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program was built for this test");
    let lines = std::io::BufReader::new(server.stdout.take().expect("it is a pipe")).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line.starts_with("Reelhook listens on")), "the server starts");
    server.kill().expect("the server is ours");
    server.wait().expect("the server ends");
}

#[test]
fn a_key_is_printed_alone_and_listed_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    first_start(&data);
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
    assert_eq!(code, Some(2));
    assert!(err.contains("reelhook keys list") && err.contains(data.to_str().unwrap()), "{err}");
}

#[test]
fn keys_of_another_account_are_made_listed_and_revoked_by_its_name_or_id() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    first_start(&data);
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
    let names: Vec<_> = json(&first)["keys"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["first"], "the first account has its own alone");

    let key = key["id"].as_str().unwrap();
    let (code, _, err) = run(&["keys", "revoke", key]);
    assert_eq!(code, Some(2));
    assert!(err.contains("the account default has no key"), "{err}");
    assert_eq!(run(&["keys", "revoke", key, "--account", "shop"]).0, Some(0));

    for (wrong, said) in [
        (&["accounts", "create", "shop"][..], "the account shop already exists"),
        (&["accounts", "create", "a shop"], "a name has 1 to 64 letters"),
        (&["accounts", "create", "acc_1"], "does not begin with"),
        (
            &["keys", "create", "--account", "shp"],
            "there is no account \"shp\". Did you mean \"shop\"? The accounts are default, shop.",
        ),
        (&["credits", "show", "--account", "shp"], "`reelhook accounts create NAME` creates one"),
    ] {
        let (code, out, err) = run(wrong);
        assert!(code.is_some_and(|code| code > 0) && out.is_empty() && err.contains(said), "{wrong:?}: {err}");
    }
}

#[test]
fn no_command_but_serve_makes_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for data in [folder.path().join("mistyped"), empty] {
        for command in [
            &["keys", "create"][..],
            &["keys", "list"],
            &["keys", "revoke", "key_00000000000000000000000000"],
            &["keys", "rotate-master"],
            &["accounts", "create", "shop"],
            &["accounts", "list"],
            &["accounts", "erase", "shop"],
            &["credits", "show"],
            &["credits", "grant", "5"],
            &["credits", "lift"],
        ] {
            let arguments = [command, &["--data", data.to_str().unwrap()]].concat();
            let (code, out, err) = program::shown(&program::run(&arguments, ""));
            assert_eq!((code, out.as_str()), (Some(2), ""), "{command:?}: {err}");
            assert!(err.contains("there is no server data in") && err.contains("--data"), "{command:?}: {err}");
        }
        assert!(!data.exists() || std::fs::read_dir(&data).unwrap().next().is_none(), "{data:?} stays as it was");
    }
}

#[test]
fn a_command_without_a_key_says_how_to_get_one() {
    let (code, _, err) = program::shown(&program::run(&["jobs", "list"], ""));
    assert_eq!(code, Some(4));
    assert!(err.contains("reelhook keys create"), "{err}");
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let arguments = ["jobs", "list", "--url", "http://127.0.0.1:1", "--key", "rh_x"];
    let (code, _, err) = program::shown(&program::run(&arguments, ""));
    assert_eq!(code, Some(5));
    assert_eq!(err.matches("refused").count(), 1, "{err}");
    assert!(err.contains("cannot reach http://127.0.0.1:1/") && err.contains("reelhook serve"), "{err}");
}
