//! The pool's invariants over random histories: never above a cap, first come first served, no slot ever lost.
