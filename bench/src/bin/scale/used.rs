//! What a process has used, by the kernel's account, and how large its files became.

use std::path::Path;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::AnyError;

/// The beginning of a measurement.
pub(crate) struct Began(Instant);

/// What was used since.
#[derive(Default)]
pub(crate) struct Used {
    pub(crate) wall_us: f64,
    /// User and system, of all threads.
    pub(crate) cpu_us: f64,
    /// Of the calling thread.
    pub(crate) own_cpu_us: f64,
    /// The largest resident set (VmHWM).
    pub(crate) peak_kib: f64,
    /// Bytes of the output, and of the state with its log.
    pub(crate) out: f64,
    pub(crate) state: f64,
}

impl Used {
    pub(crate) fn begin() -> Began {
        Began(Instant::now())
    }

    /// Reads what [`Used::to_text`] wrote.
    pub(crate) fn from_text(text: &str) -> Result<Used, AnyError> {
        let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [wall_us, cpu_us, own_cpu_us, peak_kib, out, state] = numbers[..] else {
            return Err(format!("not a measurement: {text}").into());
        };
        Ok(Used { wall_us, cpu_us, own_cpu_us, peak_kib, out, state })
    }

    pub(crate) fn to_text(&self) -> String {
        let Used { wall_us, cpu_us, own_cpu_us, peak_kib, out, state } = self;
        format!("{wall_us} {cpu_us} {own_cpu_us} {peak_kib} {out} {state}\n")
    }
}

impl Began {
    pub(crate) fn end(&self, dir: &Path) -> Result<Used, AnyError> {
        let cpu = |who| getrusage(who).map(|usage| (usage.user_time() + usage.system_time()).num_microseconds() as f64);
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let size = |name: &str| dir.join(name).metadata().map_or(0, |meta| meta.len()) as f64;
        Ok(Used {
            wall_us: self.0.elapsed().as_micros() as f64,
            cpu_us: cpu(UsageWho::RUSAGE_SELF)?,
            own_cpu_us: cpu(UsageWho::RUSAGE_THREAD)?,
            peak_kib: peak.trim().trim_end_matches(" kB").parse()?,
            out: size("out.jsonl"),
            state: size("out.jsonl.state") + size("out.jsonl.state-wal"),
        })
    }
}
