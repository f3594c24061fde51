//! The lesson's exercises. For each chapter of `docs/guide` there is a skeleton to complete in [`exercises`], a
//! complete one in [`solutions`], and in [`checks`] what both are held to: the very same checks, against an origin
//! of their own, without a network.
//!
//! `cargo run -p gannet-guide --bin check -- 05` runs those of chapter 5 on what the learner wrote.

pub mod checks;
pub mod exercises;
mod report;
pub mod solutions;

pub use report::{Answer, Checked, Problem, Report, not_done};

/// One exercise of the lesson.
#[derive(Clone, Copy)]
pub struct Exercise {
    /// The number of its chapter.
    pub number: u8,
    /// What it is about.
    pub title: &'static str,
    /// The name of its file, without `.rs`: the same in `exercises`, `solutions` and `checks`.
    pub file: &'static str,
    /// Checks what the learner wrote.
    pub check_exercise: fn() -> Report,
    /// Checks the solution.
    pub check_solution: fn() -> Report,
}

/// A row for each: number, title, file, and the function to write.
macro_rules! lesson {
    ($($number:literal $title:literal $file:ident :: $function:ident;)*) => {
        /// All exercises, in the order of the chapters.
        pub const LESSON: &[Exercise] = &[$(Exercise {
            number: $number,
            title: $title,
            file: stringify!($file),
            check_exercise: || checks::$file::check(&exercises::$file::$function),
            check_solution: || checks::$file::check(&solutions::$file::$function),
        },)*];
    };
}

lesson! {
    1 "the session" ex01_session::visit;
    2 "methods and bodies" ex02_methods_and_bodies::send_all;
    3 "the response" ex03_response::describe;
    4 "errors" ex04_errors::diagnose;
    5 "many at once" ex05_many_at_once::names;
    6 "limits" ex06_limits::politely;
    7 "timeouts" ex07_timeouts::patiently;
    8 "retries" ex08_retries::persistently;
    9 "the parallel fetch" ex09_parallel_fetch::prices;
    10 "batches" ex10_batches::in_batches;
    11 "the comparison" ex11_comparison::compare;
    12 "the mistakes" ex12_mistakes::stock;
    13 "the blocking door" ex13_blocking::names;
    14 "a run that survives" ex14_resume::in_portions;
}
