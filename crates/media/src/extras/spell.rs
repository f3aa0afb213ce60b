//! Spelling what a product carries: options of one stream, chapters as a file, chapters as comments.

use std::fmt::Write as _;

use super::Chapter;

/// Chapters of a step, in the scratch folder.
pub(crate) const CHAPTERS: &str = "chapters.txt";

/// Options of all streams of a kind as options of the stream with that number: `-c:a` becomes `-c:a:1`.
pub(crate) fn of_stream(options: &[String], kind: char, number: usize) -> Vec<String> {
    let suffix = format!(":{kind}");
    let one = |(place, word): (usize, &String)| {
        if place % 2 == 1 { word.clone() } else { format!("{}{suffix}:{number}", word.trim_end_matches(&suffix)) }
    };
    options.iter().enumerate().map(one).collect()
}

/// Chapters as ffmpeg reads them.
///
/// # Source
/// <https://ffmpeg.org/ffmpeg-formats.html#Metadata-2>: `=`, `;`, `#`, `\` and a newline are escaped by a backslash.
pub(crate) fn chapter_file(chapters: &[Chapter]) -> String {
    let mut text = ";FFMETADATA1\n".to_owned();
    for chapter in chapters {
        let (start, end) = (milliseconds(chapter.start), milliseconds(chapter.end));
        let _ = write!(text, "[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle=");
        for c in chapter.title.chars() {
            if matches!(c, '=' | ';' | '#' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('\n');
    }
    text
}

/// Chapters as Vorbis comments.
///
/// # Source
/// <https://wiki.xiph.org/Chapter_Extension>: `CHAPTER001=hh:mm:ss.mmm` and `CHAPTER001NAME`.
pub(crate) fn chapter_comments(chapters: &[Chapter]) -> Vec<(String, String)> {
    let mut comments = Vec::with_capacity(2 * chapters.len());
    for (number, chapter) in chapters.iter().enumerate() {
        let all = milliseconds(chapter.start);
        let (seconds, rest) = (all / 1000, all % 1000);
        let time = format!("{:02}:{:02}:{:02}.{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        comments.push((format!("CHAPTER{number:03}"), time));
        if !chapter.title.is_empty() {
            comments.push((format!("CHAPTER{number:03}NAME"), chapter.title.clone()));
        }
    }
    comments
}

/// QuickTime's word for a language.
pub(crate) fn quicktime_word(language: &str) -> &str {
    match language {
        "deu" => "ger",
        "nld" => "dut",
        "swe" => "sve",
        "ell" => "gre",
        "zho" => "chi",
        other => other,
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapters() -> Vec<Chapter> {
        let hostile = r"One = ; # \ [CHAPTER]".to_owned();
        let second = Chapter { start: 3661.5, end: 3662.0, title: String::new() };
        vec![Chapter { start: 0.0, end: 3661.5, title: hostile }, second]
    }

    #[test]
    fn a_title_cannot_leave_its_line() {
        let text = chapter_file(&chapters());
        assert!(text.contains("title=One \\= \\; \\# \\\\ [CHAPTER]\n"), "{text}");
        assert_eq!(text.lines().filter(|line| *line == "[CHAPTER]").count(), 2);
    }

    #[test]
    fn comments_tell_hours_and_names() {
        let comments = chapter_comments(&chapters());
        assert_eq!(comments[2], ("CHAPTER001".to_owned(), "01:01:01.500".to_owned()));
        assert_eq!(comments.len(), 3);
    }

    #[test]
    fn options_of_a_kind_become_those_of_a_stream() {
        let options = ["-c:a", "aac", "-b:a", "96k", "-ac", "2"].map(str::to_owned);
        assert_eq!(of_stream(&options, 'a', 1), ["-c:a:1", "aac", "-b:a:1", "96k", "-ac:a:1", "2"]);
    }
}
