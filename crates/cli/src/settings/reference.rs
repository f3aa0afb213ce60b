//! The page `docs/settings.md`, from the table and the defaults.

use figment::value::Value;

use super::Settings;
use super::table::SETTINGS;

const HEAD: &str = "\
# Settings

<!-- Made by `reelhook settings > docs/settings.md`; a test compares them. -->

Defaults, then a TOML file (`reelhook serve --config reelhook.toml`), then `REELHOOK_*` of the environment, then flags: the
later wins. Every setting can be given as a flag: `--set worker.slots=4`. A key that is not in this table is an error that
names the nearest one; a variable `REELHOOK_*` that is not in it is ignored, with a warning. In the environment and on the command line, lists are separated by commas.

```toml
listen = \"0.0.0.0:8080\"
public_url = \"https://media.example.com\"

[worker]
slots = 4

[egress]
allow = [\"10.0.0.0/8:8000-9000\"]
```

| Key | Default | Environment | Flag | What for |
| --- | --- | --- | --- | --- |
";

/// The whole page.
pub(crate) fn page() -> anyhow::Result<String> {
    let defaults = Value::serialize(Settings::default())?;
    let mut page = HEAD.to_owned();
    for setting in SETTINGS {
        let default = match defaults.find_ref(setting.key) {
            None | Some(Value::Empty(..)) => "none".to_owned(),
            Some(value) => format!("`{}`", spell(value)?),
        };
        let flag = setting.flag.map_or_else(String::new, |flag| format!("`{flag}`"));
        let allowed = match setting.kind {
            super::table::Kind::Text(_) | super::table::Kind::Texts(_) => String::new(),
            _ => format!(" Must be {}.", setting.allowed()),
        };
        page +=
            &format!("| `{}` | {default} | `{}` | {flag} | {}{allowed} |\n", setting.key, setting.env(), setting.doc);
    }
    Ok(page)
}

fn spell(value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(_, text) => text.clone(),
        Value::Array(_, values) if values.is_empty() => "[]".to_owned(),
        Value::Array(_, values) => values.iter().map(spell).collect::<anyhow::Result<Vec<_>>>()?.join(","),
        other => serde_json::to_string(other)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_defaults_name_the_same_settings() {
        fn keys(prefix: &str, value: &Value, found: &mut Vec<String>) {
            match value.as_dict() {
                Some(dict) => dict.iter().for_each(|(name, value)| {
                    keys(&format!("{prefix}{}{name}", if prefix.is_empty() { "" } else { "." }), value, found);
                }),
                None => found.push(prefix.to_owned()),
            }
        }
        let mut of_defaults = Vec::new();
        keys("", &Value::serialize(Settings::default()).unwrap(), &mut of_defaults);
        let mut of_table: Vec<_> = SETTINGS.iter().map(|setting| setting.key.to_owned()).collect();
        of_defaults.sort();
        of_table.sort();
        assert_eq!(of_defaults, of_table);
    }

    #[test]
    fn every_default_is_allowed() {
        let defaults = Value::serialize(Settings::default()).unwrap();
        for setting in SETTINGS {
            let value = defaults.find_ref(setting.key).unwrap();
            assert!(matches!(value, Value::Empty(..)) || setting.allows(value), "{}", setting.key);
        }
    }
}
