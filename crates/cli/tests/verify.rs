//! `reelhook verify`, with the vector of Standard Webhooks.

mod program;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const BODY: &str = r#"{"test": 2432232314}"#;

fn verify(secret: &str, more: &[&str], body: &str) -> (Option<i32>, String, String) {
    let mut arguments = vec!["verify", "--secret", secret];
    if !more.contains(&"--headers") {
        arguments.extend(["--id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "--timestamp", "1614265330"]);
    }
    arguments.extend(more);
    program::shown(&program::run(&arguments, body))
}

#[test]
fn the_vector_of_the_standard_is_genuine() {
    let (code, out, _) = verify(SECRET, &["--signature", SIGNATURE, "--ignore-time"], BODY);
    assert_eq!((code, out.as_str()), (Some(0), "valid: the signature matches the 20 bytes of the body\n"));
}

#[test]
fn an_old_webhook_is_refused_for_its_age() {
    let (code, out, err) = verify(SECRET, &["--signature", SIGNATURE], BODY);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("not valid (timestamp): the webhook was signed "), "{out}");
    assert!(err.contains("--ignore-time"), "{err}");
}

#[test]
fn a_changed_body_or_another_secret_is_refused_for_the_signature() {
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx";
    for (secret, body) in [(SECRET, r#"{"test": 2432232315}"#), (SECRET, ""), (other, BODY)] {
        let (code, out, _) = verify(secret, &["--signature", SIGNATURE, "--ignore-time"], body);
        assert_eq!(code, Some(1));
        assert!(out.starts_with("not valid (signature): no signature matches"), "{out}");
    }
}

#[test]
fn a_missing_header_is_named() {
    let (code, out, _) = verify(SECRET, &["--ignore-time", "--json"], BODY);
    assert_eq!(code, Some(1));
    assert!(out.contains(r#""check": "header""#) && out.contains("webhook-signature"), "{out}");
}

#[test]
fn headers_and_body_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers.txt");
    let body = folder.path().join("body.json");
    let text = format!(
        "POST /hook HTTP/1.1\r\nWebhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nWebhook-Timestamp: 1614265330\r\nWebhook-Signature: {SIGNATURE}\r\n\r\n"
    );
    std::fs::write(&headers, text).unwrap();
    std::fs::write(&body, BODY).unwrap();
    let (code, out, err) =
        verify(SECRET, &["--headers", headers.to_str().unwrap(), "--ignore-time", body.to_str().unwrap()], "");
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn a_secret_with_a_typing_error_is_not_repeated() {
    let (code, _, err) = verify("whsec_short", &["--signature", SIGNATURE], BODY);
    assert_eq!(code, Some(2));
    assert!(err.contains("--secret") && !err.contains("short\n") && !err.contains("whsec_short"), "{err}");
}
