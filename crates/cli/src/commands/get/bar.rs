//! How far a body has come, on stderr where that is a terminal.

use std::io::IsTerminal;

use gannet::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::GetArgs;

/// A bar, or none. Clones share it.
#[derive(Clone)]
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    uploads: bool,
}

impl Bar {
    /// Shown on a terminal, when the body goes to a file or it was asked for; never beside a body on a terminal.
    pub(super) fn new(args: &GetArgs) -> Self {
        let save = &args.save;
        let to_file = save.remote_name || save.remote_header_name || args.file().is_some();
        let beside = to_file || !std::io::stdout().is_terminal();
        let wanted = beside && (save.progress_bar || (to_file && !save.silent));
        let bar = (wanted && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(false));
            bar
        });
        let uploads = args.upload.upload_file.is_some() || !args.upload.parts.is_empty();
        Bar { bar, uploads }
    }

    /// What shows the way out, where there is one to speak of.
    pub(super) fn of_upload(&self) -> Option<impl Fn(Progress) + Send + Sync + 'static> {
        self.bar.clone().filter(|_| self.uploads).map(|bar| move |progress| show(&bar, "sent", progress))
    }

    /// What shows the way in.
    pub(super) fn of_download(&self) -> Option<impl Fn(Progress) + Send + Sync + 'static> {
        self.bar.clone().map(|bar| move |progress| show(&bar, "received", progress))
    }

    /// Does what writes to stderr, as if there were no bar.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Wipes it away: what is told must not stand behind it.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn show(bar: &ProgressBar, what: &'static str, progress: Progress) {
    if progress.total != bar.length() || bar.message() != what {
        bar.set_style(style(progress.total.is_some()));
        match progress.total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_message(what);
    }
    bar.set_position(progress.done);
}

fn style(with_total: bool) -> ProgressStyle {
    let template = match with_total {
        true => "{wide_bar} {percent:>3} %  {bytes} of {total_bytes} {msg}, {bytes_per_sec}, {eta} left",
        false => "{spinner} {bytes} {msg}, {bytes_per_sec}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
