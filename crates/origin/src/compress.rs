//! Compressed bodies: httpbin's JSON in each coding, and a gzip of many zeros
//! for clients that promise not to unpack more than they were told to.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, Crc, FlushCompress};
use http::HeaderValue;
use http::header::CONTENT_ENCODING;
use serde_json::Value;

use crate::body::Body;
use crate::call::{Answer, Call, Refusal, Reply};
use crate::echo;

/// JSON with `"gzipped": true`, compressed.
pub(crate) fn gzip(call: &Call) -> Answer {
    let text = document(call, "gzipped");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoded("gzip", encoder.write_all(&text).and_then(|()| encoder.finish()))
}

/// JSON with `"deflated": true`: in zlib's format (RFC 9110 section 8.4.1.2), or
/// with `?raw=1` without it, as some servers wrongly send.
pub(crate) fn deflate(call: &Call) -> Answer {
    let text = document(call, "deflated");
    if call.flag("raw") {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        return encoded("deflate", encoder.write_all(&text).and_then(|()| encoder.finish()));
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoded("deflate", encoder.write_all(&text).and_then(|()| encoder.finish()))
}

/// JSON with `"brotli": true`, compressed.
pub(crate) fn brotli(call: &Call) -> Answer {
    let text = document(call, "brotli");
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut packed, 4096, 5, 20);
    let written = writer.write_all(&text).and_then(|()| writer.flush());
    drop(writer);
    encoded("br", written.map(|()| packed))
}

/// JSON with `"zstd": true`, compressed.
pub(crate) fn zstd(call: &Call) -> Answer {
    let text = document(call, "zstd");
    encoded("zstd", zstd::encode_all(&text[..], 3))
}

/// A gzip of `mib` MiB of zeros, made as it is sent. At most 16 GiB.
pub(crate) fn bomb(call: &Call) -> Answer {
    let mib: u32 = call.param_or("mib", 64)?;
    if mib > 16 * 1024 {
        return Err(Refusal::bad("at most 16384 MiB"));
    }
    let block = zero_block().map_err(io::Error::from).map_err(|error| failed(&error))?;
    let head = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    // An empty last block of fixed codes, then CRC and length (RFC 1952 section 2.3.1).
    let mut tail = vec![0x03, 0x00];
    tail.extend_from_slice(&zero_crc(mib).to_le_bytes());
    tail.extend_from_slice(&(mib << 20).to_le_bytes());
    let len = head.len() as u64 + block.len() as u64 * u64::from(mib) + tail.len() as u64;
    let pieces =
        std::iter::once(head).chain(std::iter::repeat_n(block, mib as usize)).chain(std::iter::once(Bytes::from(tail)));
    Ok(Reply::of("application/octet-stream", Body::pieces(pieces, Some(len)))
        .with(CONTENT_ENCODING, HeaderValue::from_static("gzip")))
}

/// A mebibyte of zeros as deflate blocks that end on a byte and refer to nothing
/// before them, so that the same bytes can follow themselves.
fn zero_block() -> Result<Bytes, flate2::CompressError> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut block = Vec::with_capacity(64 * 1024);
    let zeros = vec![0; 1 << 20];
    compress.compress_vec(&zeros, &mut block, FlushCompress::Full)?;
    Ok(block.into())
}

fn zero_crc(mib: u32) -> u32 {
    let mut one = Crc::new();
    one.update(&vec![0; 1 << 20]);
    let mut all = Crc::new();
    for _ in 0..mib {
        all.combine(&one);
    }
    all.sum()
}

fn document(call: &Call, flag: &str) -> Vec<u8> {
    let mut all = echo::summary(call);
    all.insert(flag.to_owned(), true.into());
    format!("{:#}\n", Value::from(all)).into_bytes()
}

fn encoded(coding: &'static str, packed: io::Result<Vec<u8>>) -> Answer {
    let packed = packed.map_err(|error| failed(&error))?;
    Ok(Reply::of("application/json", Body::whole(packed)).with(CONTENT_ENCODING, HeaderValue::from_static(coding)))
}

fn failed(error: &io::Error) -> Refusal {
    Refusal::bad(format!("cannot compress: {error}"))
}
