//! The layers above the defaults: file, environment, flags. Each is read against the table before they are merged.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use figment::providers::{Format as _, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use reelhook_domain::nearest::{is_mistyped, nearest};

use super::table::{self, SETTINGS};

/// Variables that start like settings and belong to somebody else: the client commands, and, in a build for them, the
/// crash tests.
#[cfg(not(feature = "failpoints"))]
const NOT_SETTINGS: &[&str] = &["REELHOOK_URL", "REELHOOK_KEY", "REELHOOK_CONFIG", "REELHOOK_SECRET"];
#[cfg(feature = "failpoints")]
const NOT_SETTINGS: &[&str] =
    &["REELHOOK_URL", "REELHOOK_KEY", "REELHOOK_CONFIG", "REELHOOK_SECRET", crate::crash::VARIABLE];

/// What all our variables begin with.
const PREFIX: &str = "REELHOOK_";

/// Whether that is one of the variables by which Kubernetes and Docker tell where a service is.
///
/// # Source
/// Kubernetes, "Accessing the Service": `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`, `NAME_SERVICE_PORT_PORTNAME`, and those
/// of Docker's links, `NAME_PORT` (a URL) and `NAME_PORT_8080_TCP` with `_PROTO`, `_PORT` and `_ADDR`.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_link = |rest: &str| {
        let mut words = rest.split('_');
        let is_port = words.next().is_some_and(|port| port.parse::<u16>().is_ok());
        let is_protocol = words.next().is_some_and(|protocol| matches!(protocol, "TCP" | "UDP" | "SCTP"));
        is_port
            && is_protocol
            && matches!(words.next(), None | Some("PROTO" | "PORT" | "ADDR"))
            && words.next().is_none()
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.match_indices("_PORT_").any(|(at, found)| is_link(&name[at + found.len()..]))
}

/// Where settings come from, besides the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// A TOML file.
    pub(crate) file: Option<PathBuf>,
    /// The environment, or as much of it as concerns us.
    pub(crate) env: Vec<(String, String)>,
    /// Keys with the texts that flags gave them.
    pub(crate) flags: Vec<(String, String)>,
}

/// One layer, checked.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl Sources {
    /// Variables of the environment that look like settings and are not: what to tell the operator of them. Those that
    /// Kubernetes and Docker set in every container beside a service called `reelhook` are no mistakes.
    pub(crate) fn strays(&self) -> Vec<String> {
        let names: Vec<String> = SETTINGS.iter().map(table::Setting::env).collect();
        let is_stray = |name: &str, value: &str| {
            name.starts_with(PREFIX)
                && !NOT_SETTINGS.contains(&name)
                && !names.iter().any(|known| known == name)
                && !is_of_a_service(name, value)
        };
        let strays = self.env.iter().filter(|(name, value)| is_stray(name, value));
        strays
            .map(|(name, _)| {
                let known = names.iter().filter_map(|known| known.strip_prefix(PREFIX));
                let rest = name.trim_start_matches(PREFIX);
                // Nearer than for a key that must be one: most variables of the operator's own are none of ours.
                match nearest(rest, known).filter(|near| is_mistyped(rest, &near.to_lowercase())) {
                    Some(near) => format!("{name} is not a setting and is ignored; did you mean {PREFIX}{near}?"),
                    None => format!("{name} is not a setting and is ignored"),
                }
            })
            .collect()
    }

    /// The layers, lowest first.
    pub(crate) fn read(self) -> anyhow::Result<Vec<Layer>> {
        let mut wrong = Vec::new();
        let mut layers = Vec::new();
        if let Some(path) = &self.file {
            layers.push(read_file(path, &mut wrong)?);
        }
        layers.push(read_env(self.env, &mut wrong));
        layers.push(read_flags(self.flags, &mut wrong));
        if wrong.is_empty() {
            return Ok(layers);
        }
        bail!("the settings cannot be used:\n  {}", wrong.join("\n  "))
    }
}

fn read_file(path: &Path, wrong: &mut Vec<String>) -> anyhow::Result<Layer> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the settings file {} cannot be read", path.display()))?;
    let data = Toml::string(&text)
        .data()
        .with_context(|| format!("the settings file {} is not valid TOML", path.display()))?;
    let values = data.into_values().next().unwrap_or_default();
    let name = path.display().to_string();
    for (key, value) in flatten("", &values) {
        check(&key, value, &format!("in {name}"), wrong);
    }
    Ok(Layer { name, values })
}

fn read_env(env: Vec<(String, String)>, wrong: &mut Vec<String>) -> Layer {
    let names: Vec<String> = SETTINGS.iter().map(table::Setting::env).collect();
    let mut values = Dict::new();
    for (name, text) in env {
        if !name.starts_with(PREFIX) || NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let Some(setting) = SETTINGS.iter().zip(&names).find(|(_, known)| **known == name).map(|(setting, _)| setting)
        else {
            continue;
        };
        if text.contains(char::REPLACEMENT_CHARACTER) {
            wrong.push(format!("{name} is not text in UTF-8"));
            continue;
        }
        let value = setting.read(&text);
        check(setting.key, &value, &format!("in {name}"), wrong);
        insert(&mut values, setting.key, value);
    }
    Layer { name: "the environment".to_owned(), values }
}

fn read_flags(flags: Vec<(String, String)>, wrong: &mut Vec<String>) -> Layer {
    let mut values = Dict::new();
    for (key, text) in flags {
        let value = table::find(&key).map_or_else(|| Value::from(text.as_str()), |setting| setting.read(&text));
        check(&key, &value, "on the command line", wrong);
        insert(&mut values, &key, value);
    }
    Layer { name: "the command line".to_owned(), values }
}

fn check(key: &str, value: &Value, place: &str, wrong: &mut Vec<String>) {
    match table::find(key) {
        None => wrong.push(unknown(key, SETTINGS.iter().map(|setting| setting.key), place)),
        Some(setting) if !setting.allows(value) => {
            wrong.push(format!("{key} is {} {place}; it must be {}", setting.shown(value), setting.allowed()));
        }
        Some(_) => {}
    }
}

fn unknown<'a>(word: &str, known: impl Iterator<Item = &'a str>, place: &str) -> String {
    match nearest(word, known) {
        Some(near) => format!("{word} {place} is not a setting; did you mean {near}?"),
        None => format!("{word} {place} is not a setting; `reelhook settings` lists them"),
    }
}

/// The values with their dotted keys. A list is a value.
fn flatten<'a>(prefix: &str, values: &'a Dict) -> Vec<(String, &'a Value)> {
    let mut flat = Vec::new();
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => flat.extend(flatten(&key, inner)),
            other => flat.push((key, other)),
        }
    }
    flat
}

fn insert(values: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(values.insert(key.to_owned(), value)),
        Some((head, rest)) => match values.get_mut(head) {
            Some(Value::Dict(_, inner)) => insert(inner, rest, value),
            _ => drop(values.insert(head.to_owned(), nest(rest, value))),
        },
    }
}
