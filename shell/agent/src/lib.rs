#![forbid(unsafe_code)]
//! symbolon-agent
