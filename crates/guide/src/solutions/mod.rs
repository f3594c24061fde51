//! A solution for each exercise. There are others; the checks are what counts.

pub mod ex01_session;
pub mod ex02_methods_and_bodies;
pub mod ex03_response;
pub mod ex04_errors;
pub mod ex05_many_at_once;
pub mod ex06_limits;
pub mod ex07_timeouts;
pub mod ex08_retries;
pub mod ex09_parallel_fetch;
pub mod ex10_batches;
pub mod ex11_comparison;
pub mod ex12_mistakes;
pub mod ex13_blocking;
pub mod ex14_resume;
