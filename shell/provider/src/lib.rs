#![forbid(unsafe_code)]
//! symbolon-provider
