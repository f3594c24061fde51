//! The rows, by theme. Every expectation stands for RFC 9110, RFC 9112 or one of the strict framing rules.

mod bodiless;
mod chunked;
mod chunked_hostile;
mod fields;
mod hostile;
mod interim;
mod keepalive;
mod lengths;
mod limits;
mod status_line;

use super::row::Row;

/// The whole table.
pub(super) fn all() -> Vec<Row> {
    let mut rows = status_line::rows();
    rows.extend(fields::rows());
    rows.extend(lengths::rows());
    rows.extend(bodiless::rows());
    rows.extend(chunked::rows());
    rows.extend(chunked_hostile::rows());
    rows.extend(interim::rows());
    rows.extend(keepalive::rows());
    rows.extend(hostile::rows());
    rows.extend(limits::rows());
    rows
}
