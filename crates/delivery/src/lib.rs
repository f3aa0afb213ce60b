//! Fan-out, lanes, send, settle.
