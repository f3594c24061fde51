//! The four compression formats behind one step: some input in, some output out. What may follow the end of
//! a stream is decided here: another gzip member or zstd frame, or zero bytes as padding; anything else is
//! refused, since it would be dropped without a word.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use crate::decode::DecodeError;

/// The largest zstd window of a body, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
/// That of a file: 128 MiB, as for the command `zstd`; only a file that was made with such a window takes so much.
const ZSTD_FILE_WINDOW_LOG: u32 = 27;
/// The window of gzip and zlib, as a power of two: the largest there is.
const DEFLATE_WINDOW_LOG: u8 = 15;

/// (bytes consumed, bytes written)
pub(crate) type Done = Result<(usize, usize), DecodeError>;

pub(crate) enum Codec {
    Gzip(Inflate),
    Deflate(Inflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Codec {
    pub(super) fn named(name: &[u8]) -> Result<Self, DecodeError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("gzip") || is("x-gzip") {
            Ok(Codec::Gzip(Inflate::new()))
        } else if is("deflate") {
            Ok(Codec::Deflate(Inflate::new()))
        } else if is("br") {
            Ok(Codec::Brotli(Box::new(Brotli::new())))
        } else if is("zstd") {
            Zstd::new(ZSTD_WINDOW_LOG).map(Codec::Zstd)
        } else {
            let start = String::from_utf8_lossy(&name[..name.len().min(40)]);
            Err(DecodeError::broken(format!("unknown content coding {start:?}")))
        }
    }

    /// For a gzip file.
    pub(crate) fn gzip_file() -> Self {
        Codec::Gzip(Inflate::new())
    }

    /// For a zstd file, with windows of up to 128 MiB.
    pub(crate) fn zstd_file() -> Result<Self, DecodeError> {
        Zstd::new(ZSTD_FILE_WINDOW_LOG).map(Codec::Zstd)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Codec::Gzip(_) => "gzip",
            Codec::Deflate(_) => "deflate",
            Codec::Brotli(_) => "br",
            Codec::Zstd(_) => "zstd",
        }
    }

    /// One step. With input and room for output it makes progress or fails.
    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Done {
        match self {
            Codec::Gzip(gzip) => gzip.step_gzip(input, out),
            Codec::Deflate(deflate) => deflate.step_deflate(input, out),
            Codec::Brotli(brotli) => brotli.step(input, out),
            Codec::Zstd(zstd) => zstd.step(input, out),
        }
    }

    /// Whether the input may end here: at the end of a stream, or before any byte.
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Codec::Gzip(inflate) | Codec::Deflate(inflate) => {
                !matches!(inflate.state, State::Held(_) | State::Inside(_))
            }
            Codec::Brotli(brotli) => matches!(brotli.place, Place::Start | Place::End),
            Codec::Zstd(zstd) => !zstd.inside,
        }
    }
}

pub(crate) struct Inflate {
    state: State,
}

enum State {
    /// Nothing has come yet.
    Start,
    /// Deflate only: the first byte, which alone does not tell zlib from bare deflate.
    Held(u8),
    Inside(Decompress),
    /// Behind a stream's end.
    End,
    /// Behind a zero byte that followed a stream's end.
    Padding,
}

impl Inflate {
    fn new() -> Self {
        Inflate { state: State::Start }
    }

    fn step_gzip(&mut self, input: &[u8], out: &mut [u8]) -> Done {
        let Some(&first) = input.first() else { return self.drain("gzip", out) };
        match self.state {
            State::End if first != 0x1f => self.pad("gzip", input),
            State::Padding => self.pad("gzip", input),
            // The first member, or the next one of several (RFC 1952 §2.2).
            State::Start | State::End => self.begin("gzip", Decompress::new_gzip(DEFLATE_WINDOW_LOG), input, out),
            State::Inside(_) | State::Held(_) => self.inflate("gzip", input, out),
        }
    }

    fn step_deflate(&mut self, input: &[u8], out: &mut [u8]) -> Done {
        let Some(&first) = input.first() else { return self.drain("deflate", out) };
        match (&self.state, input.get(1)) {
            (State::Start, Some(&second)) => self.begin("deflate", Decompress::new(is_zlib(first, second)), input, out),
            (State::Start, None) => {
                self.state = State::Held(first);
                Ok((1, 0))
            }
            (&State::Held(held), _) => {
                let inflater = Decompress::new(is_zlib(held, first));
                let (_, before) = self.begin("deflate", inflater, &[held], out)?;
                let (consumed, written) = self.inflate("deflate", input, &mut out[before..])?;
                Ok((consumed, before + written))
            }
            (State::Inside(_), _) => self.inflate("deflate", input, out),
            (State::End | State::Padding, _) => self.pad("deflate", input),
        }
    }

    fn begin(&mut self, name: &str, inflater: Decompress, input: &[u8], out: &mut [u8]) -> Done {
        self.state = State::Inside(inflater);
        self.inflate(name, input, out)
    }

    /// Without input: what is still inside comes out.
    fn drain(&mut self, name: &str, out: &mut [u8]) -> Done {
        if matches!(self.state, State::Inside(_)) { self.inflate(name, &[], out) } else { Ok((0, 0)) }
    }

    fn inflate(&mut self, name: &str, input: &[u8], out: &mut [u8]) -> Done {
        let State::Inside(inflater) = &mut self.state else { return Ok((0, 0)) };
        let (read, written) = (inflater.total_in(), inflater.total_out());
        let status = inflater
            .decompress(input, out, FlushDecompress::None)
            .map_err(|error| DecodeError::broken(format!("the {name} stream is damaged: {error}")))?;
        let done = ((inflater.total_in() - read) as usize, (inflater.total_out() - written) as usize);
        if status == Status::StreamEnd {
            self.state = State::End;
        }
        Ok(done)
    }

    fn pad(&mut self, name: &str, input: &[u8]) -> Done {
        self.state = State::Padding;
        skip_zeros(name, input)
    }
}

/// RFC 1950 §2.2: method 8, a window of at most 32 KiB, a header that is a multiple of 31. Bare deflate does
/// not begin like that: it would be a stored block with its padding bits set.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0
}

fn skip_zeros(name: &str, input: &[u8]) -> Done {
    if input.iter().all(|&b| b == 0) {
        Ok((input.len(), 0))
    } else {
        Err(DecodeError::broken(format!("something follows the end of the {name} stream")))
    }
}

enum Place {
    Start,
    Inside,
    End,
}

pub(crate) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    place: Place,
}

impl Brotli {
    fn new() -> Self {
        // Strict: windows of RFC 7932, at most 16 MiB; the "large window" extension is no content coding.
        let alloc = StandardAlloc::default;
        Brotli { state: BrotliState::new_strict(alloc(), alloc(), alloc()), place: Place::Start }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Done {
        match self.place {
            Place::End => return skip_zeros("br", input),
            Place::Start if input.is_empty() => return Ok((0, 0)),
            Place::Start | Place::Inside => self.place = Place::Inside,
        }
        let (mut left, mut consumed, mut room, mut written, mut total) = (input.len(), 0, out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut room,
            &mut written,
            out,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => {
                return Err(DecodeError::broken("the br stream is damaged"));
            }
            BrotliResult::ResultSuccess => self.place = Place::End,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok((consumed, written))
    }
}

pub(crate) struct Zstd {
    decoder: Decoder<'static>,
    /// Within a frame, its header included.
    inside: bool,
}

impl Zstd {
    fn new(window_log: u32) -> Result<Self, DecodeError> {
        let broken = |error| DecodeError::broken(format!("the zstd decoder cannot be set up: {error}"));
        let mut decoder = Decoder::new().map_err(broken)?;
        decoder.set_parameter(DParameter::WindowLogMax(window_log)).map_err(broken)?;
        Ok(Zstd { decoder, inside: false })
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Done {
        // Asked without input between two frames, zstd would begin another one.
        if input.is_empty() && !self.inside {
            return Ok((0, 0));
        }
        let status = self
            .decoder
            .run_on_buffers(input, out)
            .map_err(|error| DecodeError::broken(format!("the zstd stream is damaged: {error}")))?;
        self.inside = status.remaining != 0;
        Ok((status.bytes_read, status.bytes_written))
    }
}
