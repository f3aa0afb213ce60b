//! Still pictures and animations, through every recipe that takes one.
