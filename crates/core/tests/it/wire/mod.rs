//! Raw responses and what a careful client makes of them: a table of transcripts, each read whole, byte by byte,
//! in two pieces and cut short; hyper as the oracle; and random responses in random pieces.

mod drive;
mod oracle;
mod random;
mod row;
mod rows;
mod table;
