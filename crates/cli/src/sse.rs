//! Server-sent events, from bytes that arrive in pieces.
//!
//! # Source
//! WHATWG HTML, "Interpreting an event stream".

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its type; `message` where it names none.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
    /// The last id that was named so far: what to resume after.
    pub(crate) id: String,
}

/// More than any event of ours is.
const LONGEST_LINE: usize = 8 << 20;

/// The server sends a line without end.
#[derive(Debug, thiserror::Error)]
#[error("the event stream has a line of more than {LONGEST_LINE} bytes")]
pub(crate) struct LineTooLong;

/// Reads a stream piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The piece before ended in CR: an LF at the start of the next belongs to it.
    after_return: bool,
    is_started: bool,
    kind: String,
    data: String,
    id: String,
}

impl Parser {
    /// The events that this piece completes.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<SseEvent>, LineTooLong> {
        let mut events = Vec::new();
        for &byte in piece {
            let was_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ if self.line.len() >= LONGEST_LINE => return Err(LineTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line =
            if std::mem::replace(&mut self.is_started, true) { &line } else { line.trim_start_matches('\u{feff}') };
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // `retry`, comments (no field name), and what is not known yet.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        // The line feed after the last line of data is not part of it. No data, no event.
        data.pop()?;
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(SseEvent { kind, data, id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut parser = Parser::default();
        let events = pieces.iter().flat_map(|piece| parser.push(piece).unwrap());
        events.map(|event| (event.kind, event.data, event.id)).collect()
    }

    fn event(kind: &str, data: &str, id: &str) -> (String, String, String) {
        (kind.to_owned(), data.to_owned(), id.to_owned())
    }

    #[test]
    fn events_are_read_however_the_stream_is_cut() {
        let stream = "\u{feff}: hello\r\n\r\nevent: job.progress\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\ndata:x\rdata: y\r\rid: 8\ndata\n\nretry: 5\n\ndata: unfinished\n";
        let expected =
            vec![event("job.progress", "{\"a\":1}", "7"), event("message", "x\ny", "7"), event("message", "", "8")];
        assert_eq!(events(&[stream.as_bytes()]), expected);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(events(&bytes), expected);
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(events(&[b"event: ping\nid: 3\n\n", b"data: x\n\n"]), vec![event("message", "x", "3")]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.push(&vec![b'x'; LONGEST_LINE]).is_ok());
        assert!(parser.push(b"x").is_err());
    }
}
