//! What a run may lose when it is killed, starved or misled: nothing. The oracle is the origin's own count of requests
//! per row, and the output against what an uninterrupted run would have written.
//!
//! The acceptance list that these tests answer, by its numbers:
//!
//! | no. | what | test |
//! |---|---|---|
//! | 1 | SIGKILL at the nth of each call that changes files or sends | `kills::a_kill_at_any_call_loses_nothing_and_asks_only_what_was_under_way` |
//! | 2 | SIGKILL during resume, twice | the same test kills two resumes of every run; `kills::random_kills_*` kill many |
//! | 3 | random kills, concurrency 64 | `kills::random_kills_lose_no_row_and_double_none`, `..._in_order`; 500 by `scripts/kill-matrix` |
//! | 1–3, 9, 16 | the same to `.gz` and `.zst`, whose rows wait to be packed | `packed::*` |
//! | 4 | state cut within its last records | `power::a_state_that_lost_its_last_commits_adopts_the_rows_that_stand_in_the_output` |
//! | 5 | bit flips | `damage::a_damaged_state_is_refused_by_name_or_the_result_is_whole`: SQLite's pages are no records, so a damaged one is refused |
//! | 6 | zero-filled tail | `power::zeros_at_the_end_of_the_output_are_no_rows`, `power::zeros_in_place_of_rows_are_fetched_again` |
//! | 7 | simulated file system | replaced by 4, 6 and 8 on real files: SQLite does not run on a simulated one |
//! | 8 | output lost while the state survived | `power::rows_the_output_lost_are_fetched_again_and_no_others`, `power::a_tail_torn_at_any_byte_*` |
//! | 9 | ENOSPC | `faults::a_full_*`, `faults::a_small_disk_that_fills_*` |
//! | 10 | EIO on fdatasync | `faults::a_failed_sync_ends_the_run_and_is_not_tried_again_as_if_nothing_were` |
//! | 11 | EDQUOT, EFBIG, EROFS, EINTR, short write | `faults::*`; a short write is what the small disk gives |
//! | 12 | EMFILE, no free port | `faults::too_few_open_files_*`, `faults::no_free_port_*` |
//! | 13 | stdout closed | `refusals::rows_on_stdout_keep_no_state`, `refusals::a_closed_stdout_*` |
//! | 14 | two processes | `locks::*` |
//! | 15 | input or options changed | `refusals::*`, `inputs::*` |
//! | 16 | POST in flight | `doubt::*` |
//! | 17 | signals | `stops::*` |
//! | 18 | retry counts, Retry-After, cookies | `memory::*`; the clock set back is a unit test of the state |
//! | 19 | another version's state | `damage::a_state_of_another_version_is_refused_clearly` |
//! | 20 | ten million rows | measured, not tested: `docs/results/scale.md` |

mod damage;
mod doubt;
mod faults;
mod figures;
mod halfway;
mod inputs;
mod job;
mod kills;
mod locks;
mod matrix;
mod memory;
mod packed;
mod power;
mod refusals;
mod retries;
mod spool;
mod status;
mod stops;
mod strace;
