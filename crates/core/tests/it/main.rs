//! Integration tests of the core's public doors.

mod wire;
