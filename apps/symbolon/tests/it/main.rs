#![forbid(unsafe_code)]
//! The binary from outside: what it prints, and how it exits.

mod binary;
mod conventions;
mod quickstart;
