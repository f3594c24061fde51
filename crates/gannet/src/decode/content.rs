//! Content-Encoding undone as the bytes come (RFC 9110 §8.4): gzip, deflate, br and zstd, up to five of them
//! over one another. Sans-io: compressed bytes in, decoded bytes out.
//! Refused: unknown codings, streams that end early or carry something behind their end, more output than the
//! caps allow. The caps hold while decoding, for what lies between two codings too. One call yields at most a
//! chunk, whatever its input: what a bomb costs is up to its reader.

mod codec;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::codec::Codec;
use super::DecodeError;

/// The most codings undone for one body, repeated headers counted together.
pub const MAX_CODINGS: usize = 5;

/// The most output of one call, and the most that waits between two codings, in bytes.
const CHUNK: usize = 64 * 1024;
/// The least room for a step, in bytes: a small body must not pay for zeroing a whole chunk.
const LEAST_ROOM: usize = 2 * 1024;

/// How far a body may grow when it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// The most bytes a body may decode to. Default none.
    pub max_output: Option<u64>,
    /// How many times its compressed size a body may grow, once past `ratio_from`. Default 250: more than what is
    /// worth compressing reaches (text 3 to 20 times, the most monotonous logs about 100), less than a bomb needs
    /// (gzip ends at 1032; brotli and zstd know no end).
    pub max_ratio: Option<u32>,
    /// Below this much output the ratio is not looked at, in bytes. Default 100 MiB.
    pub ratio_from: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits { max_output: None, max_ratio: Some(250), ratio_from: 100 << 20 }
    }
}

/// Undoes the content codings of one body.
pub struct ContentDecoder {
    /// In the order of decoding: the coding named last comes first.
    layers: Vec<Layer>,
    budget: Budget,
}

impl ContentDecoder {
    /// A decoder for the values of a response's Content-Encoding headers, in their order; `None` where there
    /// is nothing to undo. Names are read without case; `x-gzip` is gzip, `deflate` is zlib or, as some
    /// servers have it, bare deflate; windows of zstd are held to 8 MiB (RFC 9659).
    ///
    /// # Errors
    /// [`gannet_core::ErrorKind::Decode`] for an unknown coding, which it names, and for more than
    /// [`MAX_CODINGS`].
    pub fn for_codings<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        limits: DecodeLimits,
    ) -> Result<Option<ContentDecoder>, DecodeError> {
        let names = values.into_iter().flat_map(|value| value.split(|&b| b == b','));
        let mut layers = Vec::new();
        let named = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        for (count, name) in named.enumerate() {
            if count == MAX_CODINGS {
                return Err(DecodeError::broken("the body has more than 5 content codings"));
            }
            if !name.eq_ignore_ascii_case(b"identity") {
                layers.push(Layer::new(Codec::named(name)?));
            }
        }
        layers.reverse();
        Ok((!layers.is_empty()).then(|| ContentDecoder { layers, budget: Budget { limits, read: 0 } }))
    }

    /// Decodes the next bytes of the body and appends to `out` at most 64 KiB of what they yield. Says how many
    /// of the bytes it took: the others are to come again, before any further ones. Once all are taken there may
    /// still be more to come out, see [`ContentDecoder::has_pending`].
    ///
    /// # Errors
    /// [`gannet_core::ErrorKind::Decode`] for bytes that break the coding,
    /// [`gannet_core::ErrorKind::TooLarge`] for a cap. What is in `out` by then, over all calls at most one byte
    /// more than `max_output`, is the decoded beginning; the decoder is of no further use.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, DecodeError> {
        // The ratio goes by what was offered, so that a body may yield early what its next bytes make up for.
        self.budget.read += input.len() as u64;
        let (start, mut consumed) = (out.len(), 0);
        loop {
            let room = CHUNK - (out.len() - start);
            let left = &input[consumed..];
            // The last layer that can work goes first: no buffer is filled again before it is emptied.
            let next = (0..self.layers.len()).rev().find(|&at| self.can_work(at, left));
            let Some(at) = next.filter(|_| room > 0) else { break };
            consumed += self.work(at, left, out, room)?;
        }
        self.budget.read -= (input.len() - consumed) as u64;
        Ok(consumed)
    }

    /// Whether [`ContentDecoder::push`] has more to do without further input; then it is to be called again,
    /// with no bytes if there are none. It may turn out to yield nothing.
    pub fn has_pending(&self) -> bool {
        (0..self.layers.len()).any(|at| self.can_work(at, &[]))
    }

    /// Says that the body has ended. To be called when all input is taken and nothing is pending: there is no
    /// more output. A body without a single byte is fine, whatever its codings.
    ///
    /// # Errors
    /// [`gannet_core::ErrorKind::Decode`] if a coding's stream has not come to its end.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        debug_assert!(!self.has_pending(), "invariant: a body ends when all of it came out");
        match self.layers.iter().find(|layer| !layer.codec.is_at_end()) {
            Some(layer) => Err(DecodeError::broken(format!("the {} stream ends early", layer.codec.name()))),
            None => Ok(()),
        }
    }

    fn can_work(&self, at: usize, input: &[u8]) -> bool {
        let input = if at == 0 { input } else { self.layers[at - 1].waiting() };
        self.layers[at].full || !input.is_empty()
    }

    /// One step of one layer, from the layer before it or `input` to the layer behind it or `out`. Says how much
    /// of `input` it took.
    fn work(&mut self, at: usize, input: &[u8], out: &mut Vec<u8>, room: usize) -> Result<usize, DecodeError> {
        let is_last = at + 1 == self.layers.len();
        let (before, rest) = self.layers.split_at_mut(at);
        let layer = &mut rest[0];
        let input = before.last().map_or(input, Layer::waiting);
        let consumed = if is_last {
            layer.step(&self.budget, input, out, room)?
        } else {
            let mut between = std::mem::take(&mut layer.between);
            between.clear();
            layer.taken = 0;
            let consumed = layer.step(&self.budget, input, &mut between, CHUNK)?;
            layer.between = between;
            consumed
        };
        match before.last_mut() {
            Some(before) => before.taken += consumed,
            None => return Ok(consumed),
        }
        Ok(0)
    }

    /// How many bytes went in and how many came out so far.
    #[cfg(test)]
    pub fn sizes(&self) -> (u64, u64) {
        (self.budget.read, self.layers.last().map_or(0, |layer| layer.written))
    }
}

struct Layer {
    codec: Codec,
    written: u64,
    /// The last step used up its room, so that more may be waiting without further input.
    full: bool,
    /// What this layer made for the next one; unused in the last.
    between: Vec<u8>,
    /// How much of `between` the next one has taken.
    taken: usize,
}

impl Layer {
    fn new(codec: Codec) -> Self {
        Layer { codec, written: 0, full: false, between: Vec::new(), taken: 0 }
    }

    fn waiting(&self) -> &[u8] {
        &self.between[self.taken..]
    }

    /// Appends at most `most` bytes to `out` and says how many of `input` it took.
    fn step(&mut self, budget: &Budget, input: &[u8], out: &mut Vec<u8>, most: usize) -> Result<usize, DecodeError> {
        let room = budget.room(input.len(), self.written).min(most);
        let start = out.len();
        out.resize(start + room, 0);
        let done = self.codec.step(input, &mut out[start..]);
        let (consumed, written) = match done {
            Ok(done) => done,
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        };
        out.truncate(start + written);
        self.written += written as u64;
        budget.check(self.written)?;
        if consumed == 0 && written == 0 && !input.is_empty() {
            return Err(DecodeError::broken(format!("the {} stream makes no progress", self.codec.name())));
        }
        self.full = written == room;
        Ok(consumed)
    }
}

struct Budget {
    limits: DecodeLimits,
    /// Compressed bytes so far, those on offer included.
    read: u64,
}

impl Budget {
    /// Room for one step, never more than one byte beyond the cap.
    fn room(&self, input: usize, written: u64) -> usize {
        let wanted = input.saturating_mul(4).clamp(LEAST_ROOM, CHUNK);
        let left = self.limits.max_output.map_or(u64::MAX, |max| max.saturating_sub(written).saturating_add(1));
        usize::try_from(left).map_or(wanted, |left| wanted.min(left))
    }

    fn check(&self, written: u64) -> Result<(), DecodeError> {
        if let Some(max) = self.limits.max_output.filter(|&max| written > max) {
            return Err(DecodeError::too_large(format!("the body decodes to more than {max} bytes")));
        }
        let allowed = self.limits.max_ratio.map(|ratio| self.read.saturating_mul(u64::from(ratio)));
        if written > self.limits.ratio_from && allowed.is_some_and(|allowed| written > allowed) {
            let read = self.read;
            return Err(DecodeError::too_large(format!("{read} bytes of body decode to {written} and more")));
        }
        Ok(())
    }
}
