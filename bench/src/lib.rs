//! The work every compared client does: N connections, one task each, requests one after another on it.
//!
//! A client's binary gives only what differs: how a task makes its requests. Arguments, the runtime
//! (one thread, since a client is given one core), the count of what succeeded and the report are here.
//! A response counts only with status 200 and the whole body, so a client cannot look fast by failing.

mod args;
#[cfg(feature = "gannet")]
pub mod ours;
mod tally;

use std::future::Future;
use std::process::ExitCode;

pub use args::{Args, BODY_LEN};
pub use tally::Tally;

/// Runs a client: one task for each connection, all on one thread, then one line of JSON on stdout.
///
/// `prepare` makes what the tasks share, such as a session; it runs inside the runtime. `task` makes requests as long
/// as its tally begins another. The exit code is a failure when any request failed, or the arguments are wrong.
pub fn drive<S, P, T, F>(prepare: P, task: T) -> ExitCode
where
    S: Clone,
    P: FnOnce(&Args) -> S,
    T: Fn(S, Tally) -> F,
    F: Future<Output = Tally> + Send + 'static,
{
    let Some(args) = Args::from_command_line() else {
        eprintln!("{}", args::USAGE);
        return ExitCode::from(2);
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime can be made");
    let tally = runtime.block_on(async {
        let shared = prepare(&args);
        let share = |index| Tally::new(&args, args.share(index));
        let spawn = |index| tokio::spawn(task(shared.clone(), share(index)));
        let tasks: Vec<_> = (0..args.connections).map(spawn).collect();
        let mut sum = Tally::new(&args, 0);
        for (index, task) in tasks.into_iter().enumerate() {
            sum.add(task.await.unwrap_or_else(|panic| share(index).lost(&panic)));
        }
        sum
    });
    let success = tally.is_success();
    println!("{}", tally.into_json());
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
