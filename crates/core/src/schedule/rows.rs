//! Rows of one host that wait for their first attempt, first in, first out, in a few bytes each: the differences of
//! index and place to the row before, as variable-length integers. A text file's rows take two to four bytes.

use std::collections::VecDeque;

use super::RowRef;

/// A queue of rows, compact for rows that come in the order of the input, right for all others.
/// A queue of one row, the common case with many hosts, touches no heap.
#[derive(Debug, Default)]
pub(super) struct RowQueue {
    len: usize,
    /// The first row, if there is one; the encoded ones come after it.
    first: Mark,
    /// The last row that went in.
    last: Mark,
    /// The chunk that is read from, at `read`; written to as well while it is the only one.
    head: Vec<u8>,
    read: usize,
    rest: VecDeque<Vec<u8>>,
}

/// A row from which the difference of the next one counts.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    index: u64,
    place: u64,
}

impl RowQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, row: RowRef) {
        let mark = Mark { index: row.index, place: row.place };
        if self.len == 0 {
            self.first = mark;
        } else {
            self.encode(mark);
        }
        self.last = mark;
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<RowRef> {
        self.len = self.len.checked_sub(1)?;
        let Mark { index, place } = self.first;
        if self.len > 0 {
            self.first = Mark {
                index: index.wrapping_add(read(&self.head, &mut self.read)),
                place: place.wrapping_add(read(&self.head, &mut self.read)),
            };
            if self.read == self.head.len() {
                self.turn_page();
            }
        }
        Some(RowRef { index, place })
    }

    fn encode(&mut self, mark: Mark) {
        let newest = self.rest.back_mut().unwrap_or(&mut self.head);
        let chunk = if newest.len() + LONGEST_ROW <= CHUNK {
            newest
        } else {
            self.rest.push_back(Vec::with_capacity(CHUNK));
            self.rest.back_mut().expect("invariant: a chunk was just added")
        };
        write(chunk, mark.index.wrapping_sub(self.last.index));
        write(chunk, mark.place.wrapping_sub(self.last.place));
    }

    /// Bytes held, spare capacity included.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let chunks: usize = self.rest.iter().map(Vec::capacity).sum();
        chunks + self.head.capacity() + self.rest.capacity() * size_of::<Vec<u8>>()
    }

    fn turn_page(&mut self) {
        self.read = 0;
        match self.rest.pop_front() {
            Some(next) => {
                self.head = next;
                if self.rest.is_empty() {
                    self.rest = VecDeque::new();
                }
            }
            None => {
                self.head.clear();
                self.head.shrink_to(KEPT);
            }
        }
    }
}

/// LEB128 of the zigzag form, so that a small step back is small too.
fn write(chunk: &mut Vec<u8>, difference: u64) {
    let signed = difference as i64;
    let mut left = ((signed << 1) ^ (signed >> 63)) as u64;
    while left >= 0x80 {
        chunk.push(left as u8 | 0x80);
        left >>= 7;
    }
    chunk.push(left as u8);
}

fn read(chunk: &[u8], at: &mut usize) -> u64 {
    let mut zigzag = 0u64;
    let mut shift = 0;
    loop {
        let byte = chunk[*at];
        *at += 1;
        zigzag |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        }
        shift += 7;
    }
}

const CHUNK: usize = 4096;
const LONGEST_ROW: usize = 20;
/// Capacity an emptied queue keeps, in bytes, so that a host with a row now and then does not allocate for each.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_million_rows_of_a_text_file_take_less_than_four_bytes_each() {
        let mut queue = RowQueue::default();
        for index in 0..1_000_000 {
            queue.push(RowRef { index, place: index * 60 });
        }
        assert!(queue.bytes() <= 4_000_000, "{}", queue.bytes());
        for index in 0..1_000_000 {
            assert_eq!(queue.pop(), Some(RowRef { index, place: index * 60 }));
            if index % 100_000 == 0 {
                let left = queue.len() * 4 + 200_000;
                assert!(queue.bytes() <= left, "popping frees memory");
            }
        }
        assert!(queue.is_empty() && queue.bytes() <= 256, "{}", queue.bytes());
    }

    #[test]
    fn a_host_with_a_row_now_and_then_keeps_one_small_buffer() {
        let mut queue = RowQueue::default();
        for index in 0..10_000 {
            queue.push(RowRef { index, place: u64::MAX - index });
            assert!(queue.pop().is_some());
        }
        assert!(queue.bytes() <= 64);
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(
            rows in prop::collection::vec((any::<u64>(), any::<u64>()), 0..600),
            pops in prop::collection::vec(any::<bool>(), 0..600),
        ) {
            let mut queue = RowQueue::default();
            let mut model = VecDeque::new();
            let mut pops = pops.into_iter();
            for (index, place) in rows {
                let row = RowRef { index, place };
                queue.push(row);
                model.push_back(row);
                if pops.next() == Some(true) {
                    prop_assert_eq!(queue.pop(), model.pop_front());
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            while let Some(row) = model.pop_front() {
                prop_assert_eq!(queue.pop(), Some(row));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
