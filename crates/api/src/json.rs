//! JSON token by token: what is wrong with a text that only looks like JSON, and when two texts say the same.
//!
//! Both walk a text whose grammar is known to be sound, because the parser went through it before. The parser reads values;
//! here, literals stay as they were written, which is what both questions are about.

use std::fmt::Write as _;

use reelhook_domain::form::Violation;
use serde_json::Value;
use serde_json::value::RawValue;

/// How many containers may lie within each other. Source: the parser's own bound.
const DEEPEST: usize = 127;
/// Most flaws that are named.
const MOST_FLAWS: usize = 100;
/// Longest piece of a text that is repeated.
const SHOWN: usize = 64;

/// A piece of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// `{`, `}`, `[`, `]`, `:` or `,`.
    Sign(u8),
    /// A text with its quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Word(&'a str),
}

/// The tokens of a text whose grammar is sound.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let text = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        let bytes = text.as_bytes();
        let (length, is_sign) = match bytes.first()? {
            b'"' => (text_length(bytes), false),
            b'{' | b'}' | b'[' | b']' | b':' | b',' => (1, true),
            _ => (bytes.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(bytes.len()), false),
        };
        let (token, rest) = text.split_at(length);
        self.0 = rest;
        Some(match bytes[0] {
            sign if is_sign => Token::Sign(sign),
            b'"' => Token::Text(token),
            _ => Token::Word(token),
        })
    }
}

/// How long the text is that begins here, with its quotes.
fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Where a walk is within a container.
enum Step {
    /// The name of the field.
    Field(String),
    /// The place of the item.
    Item(usize),
}

/// What some programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The bytes behind a byte order mark, or all of them.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// What keeps bytes from being read whose grammar is that of JSON; nothing where it is not.
pub(crate) fn flaws(bytes: &[u8]) -> Vec<Violation> {
    let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes) else { return Vec::new() };
    let mut flaws = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut is_name = false;
    for token in Tokens(raw.get()) {
        if flaws.len() >= MOST_FLAWS {
            break;
        }
        match token {
            Token::Sign(sign @ (b'{' | b'[')) => {
                if steps.len() == DEEPEST {
                    let message = format!("is nested deeper than {DEEPEST} levels");
                    flaws.push(Violation { path: path(&steps), value: Value::Null, message });
                    break;
                }
                is_name = sign == b'{';
                steps.push(if is_name { Step::Field(String::new()) } else { Step::Item(0) });
            }
            Token::Sign(b'}' | b']') => {
                steps.pop();
                is_name = false;
            }
            Token::Sign(b',') => match steps.last_mut() {
                Some(Step::Item(place)) => *place += 1,
                Some(Step::Field(_)) => is_name = true,
                None => {}
            },
            Token::Sign(_) => is_name = false,
            Token::Text(literal) => {
                let read = serde_json::from_str::<String>(literal);
                let is_sound = read.is_ok();
                if is_name && let Some(Step::Field(name)) = steps.last_mut() {
                    *name = read.unwrap_or_else(|_| literal.trim_matches('"').to_owned());
                }
                if !is_sound {
                    let what = if is_name { "has a name that holds" } else { "holds" };
                    let message = format!("{what} half of a character: \\ud800 to \\udfff are allowed only in pairs");
                    flaws.push(Violation { path: path(&steps), value: Value::Null, message });
                }
            }
            Token::Word(literal) => {
                if serde_json::from_str::<Value>(literal).is_err() {
                    let value = literal.chars().take(SHOWN).collect::<String>().into();
                    let message = "must be a number between -1.8e308 and 1.8e308".to_owned();
                    flaws.push(Violation { path: path(&steps), value, message });
                }
            }
        }
    }
    flaws
}

/// The path as violations spell it: `events[3].payload.total`.
fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Field(name) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(dot);
                path.extend(name.chars().take(SHOWN));
            }
            Step::Item(place) => write!(path, "[{place}]").expect("a text can be written to"),
        }
    }
    path
}

/// The same text for all texts that say the same: without white space, fields in order of their names, characters in one
/// spelling. Numbers stay as they were written: `1` and `1.0` may mean two things to a receiver.
///
/// `bytes` must have been parsed. What was not is given back as it is.
pub(crate) fn canonical(bytes: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(without_mark(bytes)) else { return bytes.to_vec() };
    let mut tokens = Tokens(text);
    let mut into = String::with_capacity(text.len());
    match tokens.next() {
        Some(first) if write_value(first, &mut tokens, &mut into, 0).is_some() => into.into_bytes(),
        _ => bytes.to_vec(),
    }
}

/// Writes the value that begins with `first`; nothing for what is not JSON.
fn write_value(first: Token<'_>, tokens: &mut Tokens<'_>, into: &mut String, depth: usize) -> Option<()> {
    match first {
        Token::Text(literal) => into.push_str(&in_one_spelling(literal)?),
        Token::Word(literal) => into.push_str(literal),
        Token::Sign(_) if depth > DEEPEST => return None,
        Token::Sign(b'[') => {
            into.push('[');
            loop {
                match tokens.next()? {
                    Token::Sign(b']') => break,
                    Token::Sign(b',') => into.push(','),
                    item => write_value(item, tokens, into, depth + 1)?,
                }
            }
            into.push(']');
        }
        Token::Sign(b'{') => {
            let mut fields = Vec::new();
            loop {
                match tokens.next()? {
                    Token::Sign(b'}') => break,
                    Token::Sign(b',') => {}
                    Token::Text(name) => {
                        tokens.next().filter(|token| *token == Token::Sign(b':'))?;
                        let mut value = String::new();
                        write_value(tokens.next()?, tokens, &mut value, depth + 1)?;
                        fields.push((in_one_spelling(name)?, value));
                    }
                    Token::Sign(_) | Token::Word(_) => return None,
                }
            }
            // Stable: of fields of one name, the last counts.
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            into.push('{');
            for (place, (name, value)) in fields.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                write!(into, "{comma}{name}:{value}").expect("a text can be written to");
            }
            into.push('}');
        }
        Token::Sign(_) => return None,
    }
    Some(())
}

fn in_one_spelling(literal: &str) -> Option<String> {
    serde_json::to_string(&serde_json::from_str::<String>(literal).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reelhook_testkit::any_json;

    use super::*;

    fn named(text: &str) -> Vec<String> {
        flaws(text.as_bytes()).into_iter().map(|flaw| format!("{}: {}", flaw.path, flaw.value)).collect()
    }

    #[test]
    fn each_flaw_is_named_with_its_place() {
        let text = r#"{"events": [
            {"type": "a.b", "payload": {"total": 1e400, "note": "cut \ud83d", "fine": "\ud83d\ude00"}},
            {"type": "a.b", "payload": [1, -1E+999, "\"\\", "\udead"]},
            {"\ud800": 1, "payload": {}}
        ]}"#;
        assert_eq!(
            named(text),
            [
                "events[0].payload.total: \"1e400\"",
                "events[0].payload.note: null",
                "events[1].payload[1]: \"-1E+999\"",
                "events[1].payload[3]: null",
                "events[2].\\ud800: null",
            ]
        );
        assert_eq!(named("1e999"), [": \"1e999\""]);
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(named(&deep), [format!("a{}: null", "[0]".repeat(126))]);
        assert_eq!(flaws(format!("[{}1e999]", "1e999,".repeat(10_000)).as_bytes()).len(), MOST_FLAWS);
    }

    #[test]
    fn what_is_not_json_has_no_flaws_to_name() {
        for text in ["", "{", "[1,]", "\"\u{1}\"", "01", "{} {}", "nul", "{\"a\" 1}", "\"\\x\""] {
            assert!(named(text).is_empty(), "{text}");
        }
        assert!(flaws(b"\"\xff\"").is_empty());
    }

    #[test]
    fn the_same_in_another_spelling_is_the_same() {
        let one = r#"{"b":[1,{"y":"é","x":null}],"a":"/"}"#;
        for other in [
            "\u{feff}{ \"a\" : \"\\/\",\n\t\"b\" : [ 1 , {\"x\":null, \"y\":\"\\u00e9\"} ] }\r\n",
            r#"{"a":"/","b":[1,{"x":null,"y":"é"}]}"#,
        ] {
            assert_eq!(canonical(one.as_bytes()), canonical(other.as_bytes()), "{other}");
        }
        for other in [
            r#"{"b":[1.0,{"y":"é","x":null}],"a":"/"}"#,
            r#"{"b":[{"y":"é","x":null},1],"a":"/"}"#,
            r#"{"b":[1,{"y":"é"}],"a":"/"}"#,
            r#"{"b":[1,{"y":"é","x":null}],"a":"/","a":"/"}"#,
            r#"{"b":["1",{"y":"é","x":null}],"a":"/"}"#,
        ] {
            assert_ne!(canonical(one.as_bytes()), canonical(other.as_bytes()), "{other}");
        }
        assert_ne!(canonical(b"123456789012345678901"), canonical(b"123456789012345678902"));
    }

    proptest! {
        #[test]
        fn what_can_be_read_has_no_flaws_and_keeps_its_meaning(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert!(flaws(pretty.as_bytes()).is_empty(), "{}", pretty);
            let plain = canonical(pretty.as_bytes());
            prop_assert_eq!(&plain, &canonical(value.to_string().as_bytes()));
            let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
            prop_assert_eq!(read(&plain), read(pretty.as_bytes()));
        }

        #[test]
        fn whatever_comes_is_walked_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:\\\\0-9eu ]*") {
            flaws(&bytes);
            flaws(text.as_bytes());
            canonical(text.as_bytes());
            canonical(&bytes);
        }
    }
}
