//! The command as its users have it: the built binary against a simulated origin.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod compressed;
mod crash;
mod curl;
mod demo;
mod failures;
mod gannet;
mod get;
mod help;
mod http2;
mod input;
mod limits;
mod network;
mod nginx;
mod origin;
mod output;
mod proxy;
mod signals;
mod state;
mod tls;
mod transfers;
mod usage;
mod who;
mod write_out;
