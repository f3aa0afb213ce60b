//! The program `reelhook`.
fn main() {}
