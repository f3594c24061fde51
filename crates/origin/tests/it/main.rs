//! The origin over real sockets of the loopback device, asked by a client of a few
//! lines that shares nothing with the crate under test.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod client;
mod compress;
mod digest;
mod echo;
mod faults;
mod limited;
mod origin;
mod pages;
mod proxy;
mod redirect;
mod script;
mod stats;
mod streams;
mod tls;
