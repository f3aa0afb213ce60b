//! `ffmpeg`: commands of the caller's own. One run for all outputs that have the same arguments.
//!
//! The command is read anew from the arguments that are stored, so that what was accepted by an older version is held to
//! the list of this one.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::Ffmpeg;

use super::{Damage, Desk, step};
use crate::extras::Carried;
use crate::probe::Source;
use crate::step::{Beside, BesideFile, Commanded, CommandedInput, Passes, Product, Step, StreamPlan, Window};
use crate::verify::Expectation;

/// An output of the plan that is made by a command.
type Wish<'a> = (usize, &'a Ffmpeg);

/// One step for each command; outputs of commands that cannot run go to `refused`.
pub(super) fn steps(desk: &Desk<'_>, mut wishes: Vec<Wish<'_>>, refused: &mut Vec<(usize, JobFailure)>) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((_, first)) = wishes.first().copied() {
        let (group, rest) = wishes.into_iter().partition::<Vec<_>, _>(|(_, wish)| wish.args == first.args);
        wishes = rest;
        match one(desk, &group) {
            Ok(step) => steps.push(step),
            Err(failure) => refused.extend(group.iter().map(|(output, _)| (*output, failure.clone()))),
        }
    }
    steps
}

fn one(desk: &Desk<'_>, group: &[Wish<'_>]) -> Result<Step, JobFailure> {
    if let (Damage::Strict, Some(damage)) = (desk.damage, &desk.source.damage) {
        return Err(damage.clone());
    }
    let unsupported = |message: String| JobFailure::request(Stage::Planning, "unsupported_command", message);
    let mut command = None;
    for (_, wish) in group {
        command = Some(wish.check().map_err(|(field, message)| unsupported(format!("{field} {message}")))?);
    }
    let Some(command) = command else { return Err(unsupported("the command is empty".to_owned())) };
    let mut inputs = Vec::with_capacity(command.inputs.len());
    let mut beside: Vec<Beside> = Vec::new();
    for input in command.inputs {
        let further = desk.further.iter().position(|further| further.name == input.name);
        let source: &Source = further.map_or(desk.source, |place| &desk.further[place].source);
        if input.still && !source.still {
            let message =
                format!("the input {} is not a still image: -loop and -framerate cannot be used with it", input.name);
            return Err(unsupported(message));
        }
        let demuxer = source.demuxer;
        if let Some(place) = further {
            // Named here, it may be read.
            beside.push(Beside::of(BesideFile::Further(place), source));
        }
        let demuxer_options = source.demuxer_options;
        inputs.push(CommandedInput { options: input.options, demuxer, demuxer_options, further });
    }
    let product_of = |name: &str| group.iter().position(|(_, wish)| wish.output == name);
    let outputs = command.outputs.into_iter().map(|output| (output.options, product_of(&output.name))).collect();
    let products = group.iter().map(|(output, wish)| product(desk, *output, wish)).collect();
    let commanded = Commanded { inputs, options: command.options, outputs };
    Ok(Step { command: Some(commanded), beside, ..step(desk, products, Window::Whole, Passes::One) })
}

fn product(desk: &Desk<'_>, output: usize, wish: &Ffmpeg) -> Product {
    let expect = Expectation {
        format: wish.format,
        duration: None,
        frames: None,
        video: None,
        audio: None,
        alpha: false,
        fast_start: false,
        max_bytes: None,
        damage: desk.damage,
        any_content: true,
        package: None,
        extras: None,
        seen: None,
        heard: None,
        promise: None,
        kept_source: None,
    };
    Product {
        output,
        file_name: format!("out-{output}.{}", wish.format.extension()),
        format: wish.format,
        streams: vec![StreamPlan::new("all", "command", "made by the command of the request")],
        expect,
        keep_source_if_larger: false,
        making: None,
        carried: Carried::default(),
    }
}
