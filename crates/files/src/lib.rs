//! Inputs and results over an object store.
