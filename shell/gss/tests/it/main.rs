//! The border as a C program sees it: whole contexts, and garbage to every function.

#![expect(unsafe_code, reason = "these tests are the C program on the other side of the border")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod caller;
mod channels;
mod garbage;
mod names;
mod order;
mod whole;
mod world;
