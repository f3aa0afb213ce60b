//! Commands of a caller's own: arguments of ffmpeg, read into options on a list.
//!
//! Nothing passes through. Each option is found by its name, its value is read as the kind of value that it takes, and
//! what was read is spelled anew. Inputs and outputs are placeholders (`{{input}}`, `{{in_x}}`, `{{output}}`,
//! `{{out_x}}`): there is no place in a command where a path, a protocol or a device could stand. An option that is not on
//! the list is refused by its name, whatever it would do.
//!
//! What is accepted still runs in the sandbox, which may read the inputs and write its scratch folder, and nothing else.

mod bounds;
mod expression;
mod graph;
mod options;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeSet;
use std::fmt;

use crate::recipe::Format;
use options::{Entry, Takes};

/// Most inputs and outputs of one command.
const MOST_FILES: usize = 50;

/// A command, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is read, in order.
    pub inputs: Vec<CommandInput>,
    /// Options that stand before all outputs: graphs, and how times are kept.
    pub options: Vec<String>,
    /// What is written, in order.
    pub outputs: Vec<CommandOutput>,
}

/// One input of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandInput {
    /// Which input of the job: the name between the braces.
    pub name: String,
    /// Options that stand before it.
    pub options: Vec<String>,
    /// Whether one of them is only understood for a still picture.
    pub still: bool,
}

/// One output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Which output of the job: the name between the braces.
    pub name: String,
    /// Options that stand before it. The container is not among them.
    pub options: Vec<String>,
    /// The container that the command names.
    container: Option<String>,
}

impl CommandOutput {
    /// Whether the container that the command names, if any, goes with that format.
    pub fn goes_with(&self, format: Format) -> bool {
        self.container.as_deref().is_none_or(|container| options::goes_with(container, format))
    }
}

/// A command is refused because of one of its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unsupported {
    /// The argument, cut where it is long; empty where the command as a whole is refused.
    pub argument: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.argument.is_empty() {
            return write!(f, "the command {}", self.reason);
        }
        write!(f, "the argument {:?} {}", self.argument, self.reason)
    }
}

impl Unsupported {
    fn new(argument: &str, reason: impl Into<String>) -> Self {
        let mut shown: String = argument.chars().take(80).collect();
        if shown.len() < argument.len() {
            shown += "...";
        }
        Self { argument: shown, reason: reason.into() }
    }
}

/// The name between the braces of a placeholder.
fn placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(name)
}

/// Whether a name is that of an input.
pub fn is_input_name(name: &str) -> bool {
    name == "input" || name.strip_prefix("in_").is_some_and(|rest| !rest.is_empty())
}

/// Whether a name is that of an output.
pub fn is_output_name(name: &str) -> bool {
    name == "output" || name.strip_prefix("out_").is_some_and(|rest| !rest.is_empty())
}

/// An option with its value, as it was read.
struct Said {
    argument: String,
    entry: &'static Entry,
    words: Vec<String>,
    value: String,
}

impl Command {
    /// Reads the arguments of a command.
    ///
    /// # Errors
    /// [`Unsupported`] with the first argument that is not on the list.
    pub fn parse(args: &[String]) -> Result<Self, Unsupported> {
        let mut command = Self { inputs: Vec::new(), options: Vec::new(), outputs: Vec::new() };
        let mut waiting: Vec<Said> = Vec::new();
        let mut everywhere: Vec<String> = Vec::new();
        let mut named_streams = Vec::new();
        let mut args = args.iter();
        while let Some(argument) = args.next() {
            if argument == "-i" {
                command.input(args.next(), std::mem::take(&mut waiting))?;
            } else if let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) {
                let said = option(argument, name, &mut args)?;
                if matches!(said.entry.takes, Takes::NothingUnsaid | Takes::Unsaid) {
                    continue;
                }
                if matches!(said.entry.takes, Takes::Complex) {
                    // What was spelled reads the same.
                    let graph = graph::Graph::read(&said.value).map_err(|why| Unsupported::new(argument, why))?;
                    named_streams.extend(graph.inputs().map(|input| (argument.clone(), input)));
                    command.options.extend(said.words);
                } else if said.entry.stands('g') && said.entry.spelled == "fps_mode" {
                    // How frames are timed stands before each output since version 5.1.
                    everywhere.extend(said.words);
                } else if said.entry.stands('g') {
                    command.options.extend(said.words);
                } else {
                    waiting.push(said);
                }
            } else {
                command.output(argument, std::mem::take(&mut waiting))?;
            }
        }
        if let Some(said) = waiting.first() {
            return Err(Unsupported::new(&said.argument, "comes after the last output"));
        }
        for output in &mut command.outputs {
            output.options.splice(..0, everywhere.iter().cloned());
        }
        command.check(named_streams)?;
        Ok(command)
    }

    fn input(&mut self, operand: Option<&String>, waiting: Vec<Said>) -> Result<(), Unsupported> {
        let Some(operand) = operand else { return Err(Unsupported::new("-i", "has no input after it")) };
        let Some(name) = placeholder(operand).filter(|name| is_input_name(name)) else {
            let reason = "is not an input; inputs are {{input}} and {{in_...}}, with the names of the request";
            return Err(Unsupported::new(operand, reason));
        };
        let mut input = CommandInput { name: name.to_owned(), options: Vec::new(), still: false };
        for said in waiting {
            if !said.entry.stands('i') {
                return Err(Unsupported::new(&said.argument, "belongs before an output, not before an input"));
            }
            if said.entry.takes != Takes::Container {
                input.still |= matches!(said.entry.spelled, "loop" | "framerate");
                input.options.extend(said.words);
            }
        }
        self.inputs.push(input);
        Ok(())
    }

    fn output(&mut self, operand: &str, waiting: Vec<Said>) -> Result<(), Unsupported> {
        let Some(name) = placeholder(operand).filter(|name| is_output_name(name)) else {
            let reason = "is neither an option nor an output; outputs are {{output}} and {{out_...}}";
            return Err(Unsupported::new(operand, reason));
        };
        let mut output = CommandOutput { name: name.to_owned(), options: Vec::new(), container: None };
        for said in waiting {
            if !said.entry.stands('o') {
                return Err(Unsupported::new(&said.argument, "belongs before an input, not before an output"));
            }
            if said.entry.takes == Takes::Container {
                output.container = Some(said.value);
            } else {
                output.options.extend(said.words);
            }
        }
        self.outputs.push(output);
        Ok(())
    }

    /// What holds for the command as a whole.
    fn check(&self, named_streams: Vec<(String, usize)>) -> Result<(), Unsupported> {
        if self.inputs.is_empty() || self.outputs.is_empty() {
            return Err(Unsupported::new("", "needs at least one input (-i {{input}}) and one output ({{output}})"));
        }
        if self.inputs.len().max(self.outputs.len()) > MOST_FILES {
            return Err(Unsupported::new("", format!("has more than {MOST_FILES} inputs or outputs")));
        }
        let mut taken = BTreeSet::new();
        for output in &self.outputs {
            if !taken.insert(&output.name) {
                return Err(Unsupported::new(&format!("{{{{{}}}}}", output.name), "is written twice"));
            }
        }
        bounds::ends(&self.inputs, &self.outputs)?;
        if let Some((argument, input)) = named_streams.into_iter().find(|(_, input)| *input >= self.inputs.len()) {
            return Err(Unsupported::new(&argument, format!("names input {input}, which does not exist")));
        }
        Ok(())
    }
}

/// Reads an option and takes its value.
fn option<'a>(argument: &str, name: &str, args: &mut impl Iterator<Item = &'a String>) -> Result<Said, Unsupported> {
    let (name, streams) = name.split_once(':').map_or((name, None), |(name, streams)| (name, Some(streams)));
    let Some(entry) = options::find(name) else {
        return Err(Unsupported::new(argument, "is not an allowed option"));
    };
    let mut spelled = format!("-{}", entry.spelled);
    if let Some(streams) = streams {
        let read = options::streams(streams).filter(|_| !entry.stands('g'));
        let read = read.ok_or_else(|| Unsupported::new(argument, "has an unsupported stream specifier"))?;
        spelled = format!("{spelled}:{read}");
    }
    let (mut words, mut value) = (vec![spelled], String::new());
    if !matches!(entry.takes, Takes::Nothing | Takes::NothingUnsaid) {
        let text = args.next().ok_or_else(|| Unsupported::new(argument, "has no value after it"))?;
        value = entry.takes.read(text).map_err(|why| Unsupported::new(argument, why))?;
        if entry.spelled == "fps_mode" {
            value = timing(value);
        }
        words.push(value.clone());
    }
    Ok(Said { argument: argument.to_owned(), entry, words, value })
}

/// How frames are timed, by the word that newer versions take for the number.
fn timing(value: String) -> String {
    let word = match value.as_str() {
        "-1" => "auto",
        "0" => "passthrough",
        "1" => "cfr",
        "2" => "vfr",
        _ => return value,
    };
    word.to_owned()
}
