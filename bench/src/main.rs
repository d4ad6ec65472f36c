#![forbid(unsafe_code)]
//! bench
fn main() {}
