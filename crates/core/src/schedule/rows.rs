//! Rows of one host that wait for their first attempt, first in, first out, in a few bytes each: the differences of
//! index and place to the row before, as variable-length integers. A text file's rows take two to four bytes.

use std::collections::VecDeque;

use super::RowRef;

/// A queue of rows, compact for rows that come in the order of the input, right for all others.
/// No row or one, the common cases with many hosts, touch no heap.
#[derive(Debug, Default)]
pub(super) enum RowQueue {
    #[default]
    Empty,
    One(RowRef),
    /// Two or more, or what is left of them.
    Many(Box<Rows>),
}

impl RowQueue {
    pub(super) fn len(&self) -> usize {
        match self {
            RowQueue::Empty => 0,
            RowQueue::One(_) => 1,
            RowQueue::Many(rows) => rows.len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, RowQueue::Empty)
    }

    #[inline]
    pub(super) fn push(&mut self, row: RowRef) {
        match self {
            RowQueue::Empty => *self = RowQueue::One(row),
            RowQueue::One(first) => {
                let mut rows = Box::new(Rows::new(*first));
                rows.push(row);
                *self = RowQueue::Many(rows);
            }
            RowQueue::Many(rows) => rows.push(row),
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<RowRef> {
        match self {
            RowQueue::Empty => None,
            RowQueue::One(row) => {
                let row = *row;
                *self = RowQueue::Empty;
                Some(row)
            }
            RowQueue::Many(rows) => {
                let row = rows.pop();
                // Not before the last: a host whose rows come and go would change its form with each.
                if rows.len == 0 {
                    *self = RowQueue::Empty;
                }
                Some(row)
            }
        }
    }

    /// Bytes on the heap, spare capacity included.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match self {
            RowQueue::Empty | RowQueue::One(_) => 0,
            RowQueue::Many(rows) => {
                let chunks: usize = rows.rest.iter().map(Vec::capacity).sum();
                let books = size_of::<Rows>() + rows.rest.capacity() * size_of::<Vec<u8>>();
                chunks + rows.head.capacity() + books
            }
        }
    }
}

/// At least one row: the first as it is, the encoded ones after it.
#[derive(Debug)]
pub(super) struct Rows {
    len: usize,
    first: RowRef,
    /// The last row that went in, from which the difference of the next one counts.
    last: RowRef,
    /// The chunk that is read from, at `read`; written to as well while it is the only one.
    head: Vec<u8>,
    read: usize,
    rest: VecDeque<Vec<u8>>,
}

impl Rows {
    fn new(first: RowRef) -> Self {
        Rows { len: 1, first, last: first, head: Vec::new(), read: 0, rest: VecDeque::new() }
    }

    fn push(&mut self, row: RowRef) {
        let newest = self.rest.back_mut().unwrap_or(&mut self.head);
        let chunk = if newest.len() + LONGEST_ROW <= CHUNK {
            newest
        } else {
            self.rest.push_back(Vec::with_capacity(CHUNK));
            self.rest.back_mut().expect("invariant: a chunk was just added")
        };
        write(chunk, row.index.wrapping_sub(self.last.index));
        write(chunk, row.place.wrapping_sub(self.last.place));
        self.last = row;
        self.len += 1;
    }

    fn pop(&mut self) -> RowRef {
        let row = self.first;
        self.len -= 1;
        if self.len > 0 {
            self.first.index = row.index.wrapping_add(read(&self.head, &mut self.read));
            self.first.place = row.place.wrapping_add(read(&self.head, &mut self.read));
            if self.read == self.head.len() {
                self.turn_page();
            }
        }
        row
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
/// Capacity an emptied chunk keeps, in bytes, so that a queue of a few rows does not allocate for each.
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
        assert!(queue.is_empty() && queue.bytes() == 0, "{}", queue.bytes());
    }

    #[test]
    fn a_host_with_a_row_now_and_then_touches_no_heap_and_one_with_a_few_a_small_buffer() {
        let mut queue = RowQueue::default();
        for index in 0..10_000 {
            queue.push(RowRef { index, place: u64::MAX - index });
            assert_eq!(queue.bytes(), 0);
            assert!(queue.pop().is_some());
        }
        for index in 0..10_000 {
            queue.push(RowRef { index, place: index * 60 });
            if index > 0 {
                assert!(queue.pop().is_some());
            }
            assert!(queue.bytes() <= 256, "{}", queue.bytes());
        }
        assert!(size_of::<RowQueue>() <= 24);
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
