//! The library over real sockets, against the simulated origin.

mod bulk;
