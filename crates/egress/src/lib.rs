//! The only way out: an HTTP client that judges the address of every connection.
