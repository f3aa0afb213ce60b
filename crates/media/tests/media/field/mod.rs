//! Inputs as people really have them: each kind comes out right, or is refused by its name. One file an area.

mod again;
mod audio;
mod colour;
mod containers;
mod making;
mod pictures;
mod seen;
mod shape;
mod stills;
