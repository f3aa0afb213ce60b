//! What to make, as the command line says it.
//!
//! `--set` belongs to the `--recipe` before it, as a reader would take it, so the order of the words counts; clap's
//! derive forgets that order, and this reads it from the matches.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, error::ErrorKind};
use serde_json::{Map, Number, Value};

/// The outputs of a job, in the API's shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outputs(pub(crate) Vec<Value>);

const HEADING: &str = "Outputs";

impl clap::Args for Outputs {
    fn augment_args(command: Command) -> Command {
        let many = |id: &'static str| Arg::new(id).long(id).action(ArgAction::Append).help_heading(HEADING);
        command
            .arg(
                many("recipe").value_name("NAME").help(
                    "Create an output with this recipe; may repeat [default: auto, a smaller file of the same kind]",
                ),
            )
            .arg(
                many("set")
                    .value_name("KEY=VALUE")
                    .requires("recipe")
                    .help("Set a parameter of the preceding --recipe (of the first one if none precedes)"),
            )
            .arg(
                many("output")
                    .value_name("NAME=RECIPE[,KEY=VALUE...]")
                    .help("Name, recipe and parameters in one word: web=compress,crf=30"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Outputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        read(&words(matches, "recipe"), &words(matches, "set"), &words(matches, "output"))
            .map_err(|message| clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of an argument, each with its place on the command line.
fn words<'a>(matches: &'a ArgMatches, id: &str) -> Vec<(usize, &'a str)> {
    let values = matches.get_many::<String>(id).into_iter().flatten().map(String::as_str);
    matches.indices_of(id).into_iter().flatten().zip(values).collect()
}

fn read(recipes: &[(usize, &str)], sets: &[(usize, &str)], outputs: &[(usize, &str)]) -> Result<Outputs, String> {
    let mut made: Vec<(usize, Map<String, Value>)> = Vec::new();
    for &(place, recipe) in recipes {
        made.push((place, Map::from_iter([("recipe".to_owned(), Value::from(recipe))])));
    }
    for &(place, text) in sets {
        let (key, value) = pair(text).map_err(|message| format!("--set {text}: {message}"))?;
        // As long as clap keeps `requires`, there is a recipe; the first one takes what stands before all.
        let Some(index) = made.len().checked_sub(1) else { return Err("--set needs a --recipe".to_owned()) };
        let index = made.iter().rposition(|&(recipe, _)| recipe < place).unwrap_or(0).min(index);
        made[index].1.insert(key, value);
    }
    for &(place, text) in outputs {
        made.push((place, output(text).map_err(|message| format!("--output {text}: {message}"))?));
    }
    if made.is_empty() {
        made.push((0, Map::from_iter([("recipe".to_owned(), Value::from("auto"))])));
    }
    made.sort_by_key(|&(place, _)| place);
    Ok(Outputs(made.into_iter().map(|(_, output)| Value::Object(output)).collect()))
}

fn output(text: &str) -> Result<Map<String, Value>, String> {
    let mut parts = text.split(',');
    let (name, recipe) = parts
        .next()
        .and_then(|head| head.split_once('='))
        .filter(|(name, recipe)| !name.is_empty() && !recipe.is_empty())
        .ok_or("must be NAME=RECIPE, then KEY=VALUE pairs after commas")?;
    let mut output = Map::new();
    output.insert("name".to_owned(), name.into());
    output.insert("recipe".to_owned(), recipe.into());
    for part in parts {
        let (key, value) = pair(part)?;
        output.insert(key, value);
    }
    Ok(output)
}

fn pair(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value_of(value))),
        _ => Err(format!("{text:?} must be KEY=VALUE")),
    }
}

/// A number or a truth value where the text is one, else the text; quotes keep what looks like a number a text.
fn value_of(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.len() > 1 && text.starts_with('"') && text.ends_with('"') => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => serde_json::from_str::<Number>(text).map_or_else(|_| text.into(), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, value) in [
            ("28", json!(28)),
            ("1.5", json!(1.5)),
            ("-3", json!(-3)),
            ("true", json!(true)),
            ("false", json!(false)),
            ("webm", json!("webm")),
            ("720p", json!("720p")),
            ("\"28\"", json!("28")),
            ("", json!("")),
            ("007", json!("007")),
            ("NaN", json!("NaN")),
            ("null", json!("null")),
            ("a=b", json!("a=b")),
            ("\"", json!("\"")),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    fn parse(line: &str) -> Result<Value, String> {
        let command = Outputs::augment_args(Command::new("submit"));
        let matches = command.try_get_matches_from(std::iter::once("submit").chain(line.split(' ')));
        let outputs =
            matches.and_then(|matches| Outputs::from_arg_matches(&matches)).map_err(|error| error.to_string())?;
        Ok(Value::Array(outputs.0))
    }

    #[test]
    fn a_parameter_belongs_to_the_recipe_before_it() {
        assert_eq!(
            parse(
                "--recipe compress --set crf=28 --output still=thumbnail,width=640,format=jpg --recipe convert --set format=webm"
            ),
            Ok(json!([
                {"recipe": "compress", "crf": 28},
                {"name": "still", "recipe": "thumbnail", "width": 640, "format": "jpg"},
                {"recipe": "convert", "format": "webm"},
            ]))
        );
        assert_eq!(parse("--set crf=1 --recipe compress"), Ok(json!([{"recipe": "compress", "crf": 1}])));
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_place() {
        for (line, message) in [
            ("--recipe compress --set crf", "--set crf: \"crf\" must be KEY=VALUE"),
            ("--output web", "--output web: must be NAME=RECIPE"),
            ("--output web=compress,crf", "--output web=compress,crf: \"crf\" must be KEY=VALUE"),
            ("--set crf=1", "required"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
