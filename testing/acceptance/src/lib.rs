#![forbid(unsafe_code)]
//! symbolon-acceptance
