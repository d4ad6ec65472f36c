#![forbid(unsafe_code)]
//! symbolon-context
