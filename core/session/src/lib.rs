#![forbid(unsafe_code)]
//! symbolon-session
