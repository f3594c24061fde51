//! The library against real sockets: the simulated origin and scripted bytes on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bulk;
mod session;
