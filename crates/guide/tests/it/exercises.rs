//! The checks tell a solution from a skeleton.

use gannet_guide::LESSON;

#[test]
fn every_solution_passes_all_its_checks() {
    for exercise in LESSON {
        let report = (exercise.check_solution)();
        assert!(report.passed(), "{}\n{report}", exercise.file);
        assert!(report.checked().len() >= 3, "{}: too few checks", exercise.file);
    }
}

#[test]
fn every_skeleton_fails() {
    for exercise in LESSON {
        let report = (exercise.check_exercise)();
        assert!(!report.passed(), "{} passes before it is done", exercise.file);
        assert!(report.checked().iter().any(|checked| checked.hint.is_some()));
    }
}

#[test]
fn the_exercises_are_numbered_as_their_files_are() {
    let numbers: Vec<u8> = LESSON.iter().map(|exercise| exercise.number).collect();
    assert_eq!(numbers, (1..=14).collect::<Vec<u8>>());
    for exercise in LESSON {
        assert!(exercise.file.starts_with(&format!("ex{:02}_", exercise.number)), "{}", exercise.file);
    }
}
