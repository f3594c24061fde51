//! Integration tests of the core's public doors.

mod politeness;
mod wire;
