//! Gannet's decisions without I/O.
//!
//! Time comes in as an argument, randomness as a seed, and what to do comes out. There is no runtime, socket,
//! file, clock or random source here, so that framing, limits, retries, ordering, cookies and redirects are
//! tested, fuzzed and simulated on virtual time.

pub mod address;
pub mod auth;
pub mod breaker;
pub mod cookie;
pub mod decimal;
pub mod error;
pub mod events;
pub mod eyeballs;
pub mod field;
pub mod h1;
pub mod headers;
pub mod hedge;
pub mod limit;
pub mod multipart;
pub mod proxy;
pub mod redirect;
pub mod reorder;
pub mod resume;
pub mod retry;
pub mod schedule;
pub mod timeout;

pub use error::{ErrorKind, Phase};
pub use headers::{HeaderError, Headers};
