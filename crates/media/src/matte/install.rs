//! Puts models into the folder of models, and looks after those that are there.
//!
//! What is added is a stranger's file: its size is bounded, a net in TFLite's format is read by [`super::tflite`], and
//! nothing is put in place before it has been loaded as a job would. A model's files are written to names of their own
//! and renamed, its card last but one and `NAME.onnx`, which makes it an installed model, last.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::card::{Card, Looks};
use super::model::{self, Model, ModelError};
use super::{is_name, onnx, tflite};
use crate::matte::model::Net as _;

/// The name of the model of people that [`PACKAGE`] brings.
pub const HUMAN: &str = "human";
/// The package of npm with the model of people, pinned.
pub const PACKAGE: &str = "@mediapipe/selfie_segmentation@0.1.1675465747";
/// Its licence and its maker's name for it.
const LICENCE: &str = "Apache-2.0";
/// The two nets of the package, for the part where the subject is and for whole frames, by their SHA-256.
const NET: Member = Member {
    path: "package/selfie_segmentation.tflite",
    sha256: "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
};
const WHOLE: Member = Member {
    path: "package/selfie_segmentation_landscape.tflite",
    sha256: "4aafe6223bb8dac6fac8ca8ed56852870a33051ef3f6238822d282a109962894",
};
/// Bytes of a package, and of all that is in it, at most.
const LARGEST_PACKAGE: u64 = 64 << 20;
/// Bytes of an ONNX file at most: two GiB is the most that its format can hold.
const LARGEST_MODEL: u64 = 2 << 30;
/// Bytes of a card at most.
const LARGEST_CARD: u64 = 64 << 10;

struct Member {
    path: &'static str,
    sha256: &'static str,
}

/// Why nothing was added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The name, or the file, cannot be used. The text says why.
    #[error("{0}")]
    Refused(String),
    /// The machine failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Width of the pictures that it looks at, in pixels.
    pub width: u32,
    /// Height of the pictures that it looks at, in pixels.
    pub height: u32,
    /// The licence that its card names.
    pub licence: Option<String>,
    /// The source that its card names.
    pub source: Option<String>,
    /// The SHA-256 that its card names.
    pub sha256: Option<String>,
}

/// Adds a model of that name out of a file: a package of npm (for [`HUMAN`] alone), a TFLite or an ONNX file. What the
/// card says of an ONNX file's input and output is taken over.
///
/// # Errors
/// When the name or the file cannot be used; nothing is changed then.
pub fn add(folder: &Path, name: &str, file: &Path, card: Option<&Path>) -> Result<Installed, AddError> {
    if !is_name(name) || name == "chroma" || name == "auto" {
        let rule = "a name has 1 to 64 of a to z, digits, - and _, and is not chroma or auto, which are built in";
        return Err(AddError::Refused(format!("a model cannot be called {name:?}: {rule}")));
    }
    let refused = |why: String| AddError::Refused(format!("{} cannot be added as {name}: {why}", file.display()));
    let mut card = match card {
        Some(path) => {
            let text =
                String::from_utf8(read(path, LARGEST_CARD)?).map_err(|_| refused("its card is not text".into()))?;
            Card::read(&text).map_err(|why| refused(format!("its card is wrong: {why}")))?
        }
        None => Card::default(),
    };
    let bytes = read(file, LARGEST_MODEL)?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let made = if bytes.starts_with(&[0x1f, 0x8b]) {
        if name != HUMAN {
            return Err(refused(format!("a package is taken for {HUMAN} alone; give the TFLite or ONNX file in it")));
        }
        let [net, whole] = unpacked(&bytes, [&NET, &WHOLE]).map_err(refused)?;
        card = human();
        let made = converted(&whole).map_err(refused)?;
        card.whole_sha256 = Some(hash(&made));
        Model::of(name, made.clone(), card.clone()).map_err(|error| refused(why(error)))?;
        files.push((format!("{name}.whole.onnx"), made));
        files.push((format!("{name}.whole.tflite"), whole));
        files.push((format!("{name}.tflite"), net.clone()));
        converted(&net).map_err(refused)?
    } else if tflite::is_one(&bytes) {
        if name == HUMAN {
            if hash(&bytes) != NET.sha256 {
                let why =
                    format!("it is not the net of {PACKAGE}, which {HUMAN} stands for; add it under another name");
                return Err(refused(why));
            }
            card = human();
        }
        files.push((format!("{name}.tflite"), bytes.clone()));
        converted(&bytes).map_err(refused)?
    } else {
        bytes
    };
    let sha256 = hash(&made);
    if card.sha256.as_ref().is_some_and(|said| !said.eq_ignore_ascii_case(&sha256)) {
        return Err(refused("its card says another SHA-256 than it has".to_owned()));
    }
    card.sha256 = Some(sha256);
    if card.source.is_none() {
        card.source = file.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    let model = Model::of(name, made.clone(), card.clone()).map_err(|error| refused(why(error)))?;
    let size = tried(model).map_err(refused)?;
    let text = card.write().map_err(refused)?;
    files.push((format!("{name}.toml"), text.into_bytes()));
    files.push((format!("{name}.onnx"), made));
    std::fs::create_dir_all(folder)?;
    // Another model of that name had other files.
    clear(folder, name)?;
    for (file, bytes) in files {
        place(folder, &file, &bytes)?;
    }
    Ok(described(name, size, &card))
}

/// The models of a folder, each with why it cannot be used where it cannot.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<(String, Result<Installed, ModelError>)>> {
    let names = super::installed(folder)?;
    Ok(names.into_iter().map(|name| (name.clone(), look(folder, &name))).collect())
}

/// Loads a model as a job does and tries it on a grey picture; its files must be those that were added.
///
/// # Errors
/// When it cannot be used.
pub fn verify(folder: &Path, name: &str) -> Result<Installed, ModelError> {
    let broken = |why: String| ModelError::Broken { name: name.to_owned(), why };
    let card = model::card(folder, name)?;
    if let Some(sha256) = &card.whole_sha256 {
        let whole = model::file(folder, name, "whole.onnx", Some(sha256))?;
        tried(Model::of(name, whole, card.clone())?).map_err(broken)?;
    }
    let size = tried(Model::load(folder, name)?).map_err(broken)?;
    for (ending, member) in [("tflite", NET), ("whole.tflite", WHOLE)] {
        let is_there = folder.join(format!("{name}.{ending}")).is_file();
        if name == HUMAN && is_there {
            model::file(folder, name, ending, Some(member.sha256))?;
        } else if is_there {
            tflite::read(&model::file(folder, name, ending, None)?).map_err(broken)?;
        }
    }
    Ok(described(name, size, &card))
}

/// Removes a model and its card; whether there was one.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove(folder: &Path, name: &str) -> io::Result<bool> {
    let was_there = super::is_installed(folder, name);
    if was_there {
        clear(folder, name)?;
    }
    Ok(was_there)
}

fn look(folder: &Path, name: &str) -> Result<Installed, ModelError> {
    let model = Model::load(folder, name)?;
    Ok(described(name, model.size(), &model::card(folder, name)?))
}

fn described(name: &str, (width, height): (u32, u32), card: &Card) -> Installed {
    let (licence, source, sha256) = (card.licence.clone(), card.source.clone(), card.sha256.clone());
    Installed { name: name.to_owned(), width, height, licence, source, sha256 }
}

/// The card of [`HUMAN`].
fn human() -> Card {
    Card {
        licence: Some(LICENCE.to_owned()),
        source: Some(PACKAGE.to_owned()),
        looks: Looks::Tracked,
        ..Card::default()
    }
}

/// The size of a model that has looked at a grey picture.
fn tried(mut model: Model) -> Result<(u32, u32), String> {
    let (width, height) = model.size();
    model.run(&vec![127; width as usize * height as usize * 3]).map_err(why)?;
    Ok((width, height))
}

fn why(error: ModelError) -> String {
    match error {
        ModelError::Broken { why, .. } => why,
        other @ (ModelError::Missing(_) | ModelError::Io(_)) => other.to_string(),
    }
}

fn converted(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if bytes.len() as u64 > tflite::LARGEST {
        return Err(format!("it has {} bytes; a TFLite file may have {}", bytes.len(), tflite::LARGEST));
    }
    Ok(onnx::write(&tflite::read(bytes)?))
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, AddError> {
    let said = |error: io::Error| io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(said)?.take(most + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > most {
        return Err(AddError::Refused(format!("{} is larger than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// Members of a package, which must have the SHA-256 that is known.
fn unpacked<const N: usize>(bytes: &[u8], wanted: [&Member; N]) -> Result<[Vec<u8>; N], String> {
    if bytes.len() as u64 > LARGEST_PACKAGE {
        return Err(format!("the package has {} bytes; at most {LARGEST_PACKAGE} are read", bytes.len()));
    }
    let damaged = |error: io::Error| format!("the package is damaged: {error}");
    // What is packed into little may be much.
    let plain = flate2::read::GzDecoder::new(bytes).take(LARGEST_PACKAGE);
    let mut found: [Option<Vec<u8>>; N] = [const { None }; N];
    let mut archive = tar::Archive::new(plain);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let place = wanted.iter().position(|member| entry.path_bytes().as_ref() == member.path.as_bytes());
        let Some(place) = place else { continue };
        let mut member = Vec::new();
        (&mut entry).take(tflite::LARGEST).read_to_end(&mut member).map_err(damaged)?;
        if hash(&member) != wanted[place].sha256 {
            return Err(format!("{} in it is not the file of {PACKAGE}: its SHA-256 is another", wanted[place].path));
        }
        found[place] = Some(member);
    }
    if let Some(place) = found.iter().position(Option::is_none) {
        return Err(format!("there is no {} in it; it must be {PACKAGE}", wanted[place].path));
    }
    Ok(found.map(|member| member.expect("none is missing")))
}

/// Removes all files of a model.
fn clear(folder: &Path, name: &str) -> io::Result<()> {
    // What makes it an installed model goes first.
    for ending in ["onnx", "whole.onnx", "tflite", "whole.tflite", "toml"] {
        match std::fs::remove_file(folder.join(format!("{name}.{ending}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Writes a file that is there whole or not at all.
fn place(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // A server may run as another user than who installs.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map(drop).map_err(|error| error.error)
}
