use std::fs::File;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;

use super::*;
use crate::bulk::sink::{Codec, RowReader};

/// Hands on what is written; each write waits for a permit.
struct Gated {
    permits: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permits.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        // The test may have seen enough.
        let _ = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated() -> (RowWriter, Sender<()>, Receiver<Vec<u8>>) {
    let (permit, permits) = channel();
    let (written, writes) = channel();
    (RowWriter::new(Output::writer(Gated { permits, written })).unwrap(), permit, writes)
}

/// Takes so many bytes, three at a time and interrupted in between, then fails as a full disk does.
struct Small {
    file: File,
    left: usize,
    is_interrupted: bool,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = self.file.write(&bytes[..bytes.len().min(3).min(self.left)])?;
        self.left -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn push(writer: &RowWriter, row: &str) -> io::Result<()> {
    writer.push(|out| out.extend_from_slice(row.as_bytes()))
}

async fn finish(writer: &RowWriter) -> io::Result<()> {
    poll_fn(|cx| writer.poll_finish(cx)).await
}

#[test]
fn a_row_is_written_without_waiting_for_more() {
    let (writer, permit, writes) = gated();
    for row in ["first\n", "second\n", "third\n"] {
        permit.send(()).unwrap();
        push(&writer, row).unwrap();
        assert_eq!(writes.recv().unwrap(), row.as_bytes());
    }
}

#[tokio::test]
async fn a_slow_output_leaves_no_room_until_it_has_written() {
    let (writer, permit, writes) = gated();
    let row = "x".repeat(Pace::default().chunk - 1) + "\n";
    let mut pushed = 0;
    // At most what the thread holds, and what fills the buffer.
    let mut cx = Context::from_waker(Waker::noop());
    while writer.poll_room(&mut cx).is_ready() {
        push(&writer, &row).unwrap();
        pushed += row.len();
        assert!(pushed <= 2 * (4 * Pace::default().chunk + row.len()), "bounded");
    }
    drop(writes);
    let room = poll_fn(|cx| {
        let room = writer.poll_room(cx);
        let _ = permit.send(());
        room
    });
    room.await.unwrap();
    for _ in 0..pushed {
        let _ = permit.send(());
    }
    finish(&writer).await.unwrap();
    assert_eq!(writer.written(), pushed as u64);
}

/// Something is due at once, and again after each batch.
struct Due {
    at: Option<Instant>,
    calls: Sender<u64>,
}

impl BatchWriter for Due {
    fn write(&mut self, _: &mut Batch, _: u64) -> (u64, io::Result<()>) {
        self.at = Some(Instant::now());
        (0, Ok(()))
    }

    fn due(&self) -> Option<Instant> {
        self.at
    }

    fn on_due(&mut self, number: u64) -> (u64, io::Result<()>) {
        self.at = None;
        let _ = self.calls.send(number);
        (5, if number < 2 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) })
    }
}

#[tokio::test]
async fn what_is_due_is_done_although_nothing_more_comes() {
    let (calls, called) = channel();
    let writer = RowWriter::start(Box::new(Due { at: Some(Instant::now()), calls }), Pace::default()).unwrap();
    assert_eq!(called.recv().unwrap(), 0);
    push(&writer, "row\n").unwrap();
    assert_eq!(called.recv().unwrap(), 1);
    push(&writer, "row\n").unwrap();
    assert_eq!(called.recv().unwrap(), 2);
    assert_eq!(finish(&writer).await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(writer.written(), 15);
}

/// Fails to commit what it is given.
#[cfg(feature = "state")]
struct Fails(Option<Report>);

#[cfg(feature = "state")]
impl BatchWriter for Fails {
    fn begin(&mut self, report: Report) -> io::Result<()> {
        self.0 = Some(report);
        Ok(())
    }

    fn write(&mut self, _: &mut Batch, _: u64) -> (u64, io::Result<()>) {
        if let Some(report) = &self.0 {
            report.failed(&io::ErrorKind::StorageFull.into());
        }
        (0, Ok(()))
    }

    fn commits(&self) -> bool {
        true
    }
}

/// A commit of it fails while the thread waits for more; by then something is due, where that is said.
#[cfg(feature = "state")]
struct FailsMeanwhile {
    report: Option<Report>,
    is_due: bool,
    acted: Sender<&'static str>,
}

#[cfg(feature = "state")]
impl BatchWriter for FailsMeanwhile {
    fn begin(&mut self, report: Report) -> io::Result<()> {
        self.report = Some(report);
        Ok(())
    }

    fn write(&mut self, _: &mut Batch, _: u64) -> (u64, io::Result<()>) {
        let _ = self.acted.send("write");
        (0, Ok(()))
    }

    /// Asked for right before the thread waits.
    fn due(&self) -> Option<Instant> {
        if let Some(report) = &self.report {
            report.failed(&io::ErrorKind::StorageFull.into());
        }
        self.is_due.then(Instant::now)
    }

    fn on_due(&mut self, _: u64) -> (u64, io::Result<()>) {
        let _ = self.acted.send("due");
        (0, Ok(()))
    }

    fn finish(&mut self) -> io::Result<()> {
        let _ = self.acted.send("finish");
        Ok(())
    }
}

#[cfg(feature = "state")]
#[tokio::test]
async fn nothing_more_is_done_once_a_commit_has_failed() {
    for is_due in [true, false] {
        let (acted, acts) = channel();
        let target = FailsMeanwhile { report: None, is_due, acted };
        let writer = RowWriter::start(Box::new(target), Pace::default()).unwrap();
        assert_eq!(finish(&writer).await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(writer);
        // The target is gone by now, so this ends.
        assert_eq!(acts.iter().collect::<Vec<_>>(), [""; 0], "{is_due}");
    }
}

#[cfg(feature = "state")]
#[tokio::test]
async fn whoever_had_room_is_woken_when_a_commit_fails_for_which_nobody_waits() {
    let writer = RowWriter::start(Box::new(Fails(None)), Pace::default()).unwrap();
    let mut polls = 0;
    let failed = poll_fn(|cx| {
        polls += 1;
        match writer.poll_room(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(())) if polls == 1 => {
                push(&writer, "row\n").unwrap();
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    });
    assert_eq!(failed.await.kind(), io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn everything_is_in_the_file_when_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let writer = RowWriter::new(Output::file(&path, false).unwrap()).unwrap();
    let mut expected = String::new();
    for number in 0..50_000 {
        let row = format!("row {number}\n");
        push(&writer, &row).unwrap();
        expected += &row;
    }
    finish(&writer).await.unwrap();
    finish(&writer).await.unwrap();
    assert_eq!(writer.written(), expected.len() as u64);
    assert!(std::fs::read_to_string(&path).unwrap() == expected);
}

#[test]
fn a_dropped_writer_has_written_what_was_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let writer = RowWriter::new(Output::file(&path, false).unwrap()).unwrap();
    for number in 0..100 {
        push(&writer, &format!("{number}\n")).unwrap();
    }
    drop(writer);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
}

#[test]
fn dropping_does_not_hang_on_a_stuck_output() {
    let (writer, permit, _writes) = gated();
    push(&writer, "row\n").unwrap();
    drop(writer);
    drop(permit);
}

#[tokio::test]
async fn a_full_disk_leaves_whole_rows_only() {
    let dir = tempfile::tempdir().unwrap();
    for (left, expected) in [(0, ""), (3, ""), (4, "aaa\n"), (9, "aaa\nbbb\n"), (12, "aaa\nbbb\nccc\n")] {
        let path = dir.path().join(left.to_string());
        let file = File::create_new(&path).unwrap();
        let same = file.try_clone().unwrap();
        let small = Small { file, left, is_interrupted: false };
        let target = Target::new(Box::new(small), Some(same), Codec::Plain);
        let writer = RowWriter::new(Output::from_target(target)).unwrap();
        writer.push(|out| out.extend_from_slice(b"aaa\nbbb\nccc\nddd\n")).unwrap();
        let error = finish(&writer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(writer.written(), expected.len() as u64);
    }
}

#[test]
fn a_full_disk_leaves_whole_members_only() {
    let dir = tempfile::tempdir().unwrap();
    for codec in [Codec::Gzip, Codec::Zstd] {
        let mut member = Vec::new();
        codec.encode(b"aaa\n", &mut member).unwrap();
        let one = member.len();
        for (left, members) in [(0, 0), (one - 1, 0), (one, 1), (2 * one - 1, 1), (2 * one, 2)] {
            let path = dir.path().join(format!("{codec:?}{left}"));
            let file = File::create_new(&path).unwrap();
            let same = file.try_clone().unwrap();
            let small = Small { file, left, is_interrupted: false };
            let mut target = Target::new(Box::new(small), Some(same), codec);
            for number in 0..3 {
                let (written, result) = target.write_rows(b"aaa\n");
                assert_eq!((written, result.is_ok()), if number < members { (one, true) } else { (0, false) });
            }
            assert_eq!(std::fs::read(&path).unwrap(), member.repeat(members), "{codec:?} {left}");
        }
    }
}

#[tokio::test]
async fn a_file_is_packed_by_its_name_and_counted_in_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..20_000).map(|number| format!("{{\"index\":{number}}}\n")).collect();
    for name in ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"] {
        let path = dir.path().join(name);
        let writer = RowWriter::new(Output::file(&path, false).unwrap()).unwrap();
        rows.split_inclusive('\n').for_each(|row| push(&writer, row).unwrap());
        finish(&writer).await.unwrap();
        let size = path.metadata().unwrap().len();
        assert_eq!(writer.written(), size);
        assert_eq!(size < rows.len() as u64 / 2, name != "rows.jsonl", "{name}: {size}");
        let mut reader = RowReader::new(File::open(&path).unwrap(), Codec::of(&path), 0);
        let (mut found, mut batch) = (Vec::new(), Vec::new());
        while reader.next_batch(&mut batch).unwrap().is_some() {
            found.append(&mut batch);
        }
        assert_eq!(std::str::from_utf8(&found).unwrap(), rows, "{name}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_space_is_told_by_every_later_call() {
    let writer = RowWriter::new(Output::file("/dev/full", false).unwrap()).unwrap();
    push(&writer, "row\n").unwrap();
    let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull && error.raw_os_error() == Some(28);
    assert!(is_full(&finish(&writer).await.unwrap_err()));
    assert!(is_full(&push(&writer, "row\n").unwrap_err()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(writer.poll_room(&mut cx), Poll::Ready(Err(error)) if is_full(&error)));
}

#[tokio::test]
async fn a_closed_pipe_is_an_error_and_an_open_one_gets_whole_rows() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let writer = RowWriter::new(Output::writer(pipe)).unwrap();
    push(&writer, "row\n").unwrap();
    finish(&writer).await.unwrap();
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "row\n");

    let (reader, pipe) = io::pipe().unwrap();
    drop(reader);
    let writer = RowWriter::new(Output::writer(pipe)).unwrap();
    push(&writer, "row\n").unwrap();
    assert_eq!(finish(&writer).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_panic_of_the_output_is_an_error() {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("on purpose")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let writer = RowWriter::new(Output::writer(Panics)).unwrap();
    push(&writer, "row\n").unwrap();
    assert!(finish(&writer).await.is_err());
}

#[test]
fn a_file_that_is_there_is_overwritten_only_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    std::fs::write(&path, "old").unwrap();
    let error = Output::file(&path, false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let text = error.to_string();
    assert!(text.contains("--fresh") && text.contains(&*path.to_string_lossy()), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    let output = Output::file(&path, true).unwrap();
    assert_eq!(output.dir(), Some(dir.path()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    assert!(Output::file(dir.path().join("none/out"), false).unwrap_err().to_string().contains("none/out"));
}

#[tokio::test]
async fn what_is_discarded_needs_no_thread() {
    let writer = RowWriter::new(Output::discard()).unwrap();
    writer.push(|_| panic!("nothing is rendered")).unwrap();
    poll_fn(|cx| writer.poll_room(cx)).await.unwrap();
    finish(&writer).await.unwrap();
}
