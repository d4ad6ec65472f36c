#![forbid(unsafe_code)]
//! symbolon
fn main() {}
