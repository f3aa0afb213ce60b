//! Sound and its further tracks: depths, lengths, tags, covers, languages, subtitles.
