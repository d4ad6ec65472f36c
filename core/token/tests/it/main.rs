//! Tokens from outside: registration, signing in, the file that a person keeps, and what a gateway
//! tells its clients, all in memory and with somebody on the path.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its facts has failed")]

mod arbitrary;
mod configuration;
mod container;
mod device;
mod pair;
mod pin;
mod registration;
mod renewal;
mod sign_in;
