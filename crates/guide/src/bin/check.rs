//! Runs the checks of the lesson's exercises on what the learner wrote, and says what is missing.
//! `check 05` for one, `check` for all, `check --solution 05` to see the solution pass.
//! Exit code 0 when all pass, 1 when one does not, 2 for a number that is no exercise.
#![expect(clippy::print_stdout, reason = "it is a command, and talks")]

use std::process::ExitCode;

use gannet_guide::{Exercise, LESSON};

fn main() -> ExitCode {
    let (options, numbers): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let solution = options.iter().any(|option| option == "--solution");
    if let Some(unknown) = options.iter().find(|option| *option != "--solution") {
        return usage(unknown);
    }
    let mut chosen = Vec::new();
    for number in &numbers {
        match LESSON.iter().find(|exercise| number.parse() == Ok(exercise.number)) {
            Some(exercise) => chosen.push(exercise),
            None => return usage(number),
        }
    }
    if chosen.is_empty() {
        chosen.extend(LESSON);
    }
    let passed = chosen.iter().filter(|exercise| run(exercise, solution)).count();
    println!("{passed} of {} done", chosen.len());
    if passed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn run(exercise: &Exercise, solution: bool) -> bool {
    let (folder, check) = match solution {
        true => ("solutions", exercise.check_solution),
        false => ("exercises", exercise.check_exercise),
    };
    let Exercise { number, title, file, .. } = exercise;
    println!("{number:02} {title}: crates/guide/src/{folder}/{file}.rs");
    let report = check();
    print!("{report}");
    println!();
    report.passed()
}

fn usage(argument: &str) -> ExitCode {
    println!("{argument}: no such exercise. Give a number from 01 to {:02}, or none for all.", LESSON.len());
    ExitCode::from(2)
}
