//! The lesson holds together: solutions pass, skeletons fail, and what the chapters show is in the examples.

mod chapters;
mod claims;
mod exercises;
mod wrong_answers;
