//! Durable state: one trait per noun, one transaction per method.
