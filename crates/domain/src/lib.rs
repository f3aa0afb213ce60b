//! Nouns and rules, pure: no async, no I/O, no clock, no dice.
