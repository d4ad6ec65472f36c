#![forbid(unsafe_code)]
//! symbolon-record
