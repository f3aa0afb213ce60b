//! Filter graphs: read with ffmpeg's grammar, checked filter by filter against a list, and spelled anew.
//!
//! On the list are filters that turn pictures and sound into pictures and sound. What reads or writes files, opens
//! devices or connections, loads plug-ins, models or fonts, takes commands, or hands its input on to such a filter is not,
//! nor are such options of filters that are.
//!
//! # Source
//! "Filtergraph syntax" in <https://ffmpeg.org/ffmpeg-filters.html>. A text is unescaped twice: once when the graph is
//! cut into filters, once when the options of a filter are told apart. From version 7 on an option whose name begins
//! with a slash is read from a file; here a name is one of the list.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::bounds;
use super::value::Kind;

/// One line a filter: its name, then its options in the order in which ffmpeg gives names to values without one, each
/// with its other names and its kind.
const FILTERS: &str = include_str!("filters.txt");
/// Most filters of a graph.
const MOST_FILTERS: usize = 100;

struct Options {
    /// The options in their order: all names of each, the usual one first, and its kind.
    options: Vec<(Vec<&'static str>, Kind)>,
}

static LIST: LazyLock<BTreeMap<&'static str, Options>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next()?;
        let option = |word: &'static str| {
            let (names, kind) = word.split_once(':')?;
            Some((names.split('=').collect(), Kind::of(*kind.as_bytes().first()?)?))
        };
        Some((name, Options { options: words.filter_map(option).collect() }))
    };
    FILTERS.lines().filter_map(line).collect()
});

/// A graph: chains of filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    chains: Vec<Vec<Filter>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    name: &'static str,
    options: Vec<(&'static str, String)>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Graph {
    /// Reads a graph.
    ///
    /// # Errors
    /// What is not on the list, in words that follow the option's name.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let (mut chains, mut chain, mut count) = (Vec::new(), Vec::new(), 0);
        loop {
            chain.push(reader.filter()?);
            count += 1;
            if count > MOST_FILTERS {
                return Err(format!("has more than {MOST_FILTERS} filters"));
            }
            reader.skip_spaces();
            match reader.next() {
                Some(',') => {}
                Some(';') => {
                    chains.push(std::mem::take(&mut chain));
                    reader.skip_spaces();
                    // A semicolon at the very end is common.
                    if reader.rest.is_empty() {
                        break;
                    }
                }
                None => {
                    chains.push(chain);
                    break;
                }
                Some(other) => return Err(format!("has {other:?} at the end of a filter")),
            }
        }
        Ok(Self { chains })
    }

    /// Whether it names streams, which a simple graph does not.
    pub(super) fn has_labels(&self) -> bool {
        self.filters().any(|filter| !filter.inputs.is_empty() || !filter.outputs.is_empty())
    }

    /// The numbers of the inputs that it reads from.
    pub(super) fn inputs(&self) -> impl Iterator<Item = usize> {
        self.filters().flat_map(|filter| &filter.inputs).filter_map(|label| label.split(':').next()?.parse().ok())
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.chains.iter().flatten()
    }

    /// The graph as ffmpeg reads it.
    pub(super) fn spelled(&self) -> String {
        let chain = |chain: &Vec<Filter>| chain.iter().map(Filter::spelled).collect::<Vec<_>>().join(",");
        self.chains.iter().map(chain).collect::<Vec<_>>().join(";")
    }
}

impl Filter {
    fn spelled(&self) -> String {
        let labels = |labels: &[String]| labels.iter().map(|label| format!("[{label}]")).collect::<String>();
        // No kind of value has a quote or a backslash in it; a colon is escaped for the second reading, and quotes carry
        // all of it through the first.
        let option = |(name, value): &(&str, String)| format!("{name}={}", value.replace(':', "\\:"));
        let options: Vec<String> = self.options.iter().map(option).collect();
        let options = if options.is_empty() { String::new() } else { format!("='{}'", options.join(":")) };
        format!("{}{}{options}{}", labels(&self.inputs), self.name, labels(&self.outputs))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn filter(&mut self) -> Result<Filter, String> {
        let inputs = self.labels()?;
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let Some((&name, list)) = LIST.get_key_value(name) else {
            let shown: String = name.chars().take(40).collect();
            return Err(format!("names the filter {shown:?}, which is not allowed"));
        };
        self.rest = rest;
        // `name@instance`: a name for commands, which nobody sends here.
        if let Some(rest) = self.rest.strip_prefix('@') {
            self.rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        }
        self.skip_spaces();
        let options = match self.rest.strip_prefix('=') {
            Some(rest) => {
                self.rest = rest;
                list.read(name, &token(&mut self.rest, "[],;"))?
            }
            None => Vec::new(),
        };
        bounds::filter(name, &options)?;
        Ok(Filter { name, options, inputs, outputs: self.labels()? })
    }

    fn labels(&mut self) -> Result<Vec<String>, String> {
        let mut labels = Vec::new();
        loop {
            self.skip_spaces();
            let Some(rest) = self.rest.strip_prefix('[') else { return Ok(labels) };
            let (label, rest) = rest.split_once(']').ok_or("has a label that does not end")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.');
            let label = label.trim();
            if label.is_empty() || label.len() > 64 || !label.bytes().all(plain) {
                return Err("has a label that is not letters, digits, '_' and ':'".to_owned());
            }
            labels.push(label.to_owned());
            self.rest = rest;
        }
    }
}

/// Takes what comes before one of `ends`, unescaped once: a backslash keeps the next character, quotes keep all between.
fn token(rest: &mut &str, ends: &str) -> String {
    let mut taken = String::new();
    let mut chars = rest.char_indices();
    let mut quoted = false;
    let mut end = rest.len();
    while let Some((at, letter)) = chars.next() {
        match letter {
            '\'' => quoted = !quoted,
            letter if quoted => taken.push(letter),
            '\\' => taken.extend(chars.next().map(|(_, letter)| letter)),
            letter if ends.contains(letter) => {
                end = at;
                break;
            }
            letter => taken.push(letter),
        }
    }
    *rest = &rest[end..];
    taken.trim().to_owned()
}

impl Options {
    /// Reads the options of a filter: `value:value:name=value`.
    fn read(&self, filter: &str, text: &str) -> Result<Vec<(&'static str, String)>, String> {
        let mut rest = text;
        let mut read: Vec<(&'static str, String)> = Vec::new();
        let mut unnamed = self.options.iter();
        while !rest.is_empty() {
            let named = name_before(rest).filter(|name| *name == "enable" || self.find(name).is_some());
            // A name that is not on the list must not pass as the beginning of a value.
            if named.is_none()
                && let Some(name) = name_before(rest).filter(|_| !self.takes_equals(read.len()))
            {
                let shown: String = name.chars().take(40).collect();
                return Err(format!("gives the filter {filter} the option {shown:?}, which is not allowed"));
            }
            let (name, kind) = match named {
                Some("enable") => ("enable", Kind::Expression),
                Some(name) => self.find(name).ok_or("names an option twice")?,
                None => {
                    let (names, kind) =
                        unnamed.next().ok_or_else(|| format!("gives the filter {filter} too many values"))?;
                    (names[0], *kind)
                }
            };
            if let Some(name) = named {
                rest = rest[name.len()..].trim_start().strip_prefix('=').unwrap_or_default();
            }
            let value = token(&mut rest, ":");
            let spelled = kind.read(&value).ok_or_else(|| {
                let shown: String = value.chars().take(60).collect();
                format!("gives the filter {filter} {name}={shown:?}, where it takes {}", kind.words())
            })?;
            read.push((name, spelled));
            rest = rest.strip_prefix(':').unwrap_or(rest);
        }
        Ok(read)
    }

    fn find(&self, name: &str) -> Option<(&'static str, Kind)> {
        let (names, kind) = self.options.iter().find(|(names, _)| names.contains(&name))?;
        names.iter().find(|known| **known == name).map(|known| (*known, *kind))
    }

    /// Whether the next value without a name may have an equals sign of its own, as the channels of `pan` do.
    fn takes_equals(&self, place: usize) -> bool {
        self.options.get(place).is_some_and(|(_, kind)| *kind == Kind::List)
    }
}

/// The name before an equals sign, where there is one in front of the value.
fn name_before(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '/' | '.'))?;
    text[end..].trim_start().starts_with('=').then(|| &text[..end]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        assert_eq!(LIST.len(), FILTERS.lines().count());
        for line in FILTERS.lines() {
            let name = line.split(' ').next().unwrap();
            assert_eq!(LIST[name].options.len(), line.split(' ').count() - 1, "{line}");
        }
    }

    #[test]
    fn graphs_are_spelled_anew_with_every_value_named() {
        for (text, spelled) in [
            ("scale=1280:-2", "scale='w=1280:h=-2'"),
            ("fps=8,scale=320:-1:flags=lanczos", "fps='fps=8',scale='w=320:h=-1:flags=lanczos'"),
            ("[0:v][1:v] overlay=W-w-10:10 [out]", "[0:v][1:v]overlay='x=W-w-10:y=10'[out]"),
            ("select='gt(scene\\,0.3)'", "select='expr=gt(scene,0.3)'"),
            ("select=gt(scene\\,0.3)", "select='expr=gt(scene,0.3)'"),
            ("fade=t=in:st=0:d=1", "fade='t=in:st=0:d=1'"),
            ("trim=start='00\\:00\\:01'", "trim='start=00\\:00\\:01'"),
            ("pan=stereo|FL=FC+0.3*FL|FR=FC+0.3*FR", "pan='args=stereo|FL=FC+0.3*FL|FR=FC+0.3*FR'"),
            ("[a]split[b][c];[b]hflip[d];", "[a]split[b][c];[b]hflip[d]"),
            ("drawbox=enable='between(t,1,2)':c=red@0.5", "drawbox='enable=between(t,1,2):c=red@0.5'"),
        ] {
            let graph = Graph::read(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(graph.spelled(), spelled, "{text}");
            assert_eq!(Graph::read(spelled).unwrap(), graph, "what is spelled reads the same");
        }
    }

    #[test]
    fn what_is_not_on_the_list_is_named() {
        for (text, says) in [
            ("movie=/etc/passwd", "\"movie\""),
            ("scale=1:1,amovie=x", "\"amovie\""),
            ("scale=/w=/etc/passwd", "\"/w\""),
            ("curves=psfile=/etc/passwd", "\"psfile\""),
            ("scale=w='file\\:x'", "an expression"),
            ("scale=1:2:3:4:5:6:7:8:9:1:1:1:1:1:1:1:1:1:1", "values"),
            ("overlay=x=1[", "does not end"),
            ("", "\"\""),
        ] {
            let why = Graph::read(text).expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
