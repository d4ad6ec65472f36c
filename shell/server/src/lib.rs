#![forbid(unsafe_code)]
//! symbolon-server
