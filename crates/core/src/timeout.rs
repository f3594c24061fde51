//! How long each part of a request may take. This module holds the figures only; whoever waits enforces them
//! and names the phase in the error (`timeout.pool`, `timeout.connect`, `timeout.read`, `timeout.total`).
//! In text form every duration is a number of seconds, fractions allowed; `null` is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time limits of one attempt. `None` is no limit; `Some(Duration::ZERO)` expires at once.
///
/// Backoff, parked time and further attempts are outside all of them: a row's `deadline` bounds those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Waiting for a connection of the pool. Default none.
    #[serde(with = "seconds::optional")]
    pub pool: Option<Duration>,
    /// The lookup alone, until the first addresses have come: those of a family that is slower than this are done
    /// without. Waiting in our own resolver queue does not count. Default none: `connect` holds it.
    #[serde(with = "seconds::optional")]
    pub dns: Option<Duration>,
    /// Lookup, TCP, a proxy's tunnel and TLS together; waiting in our own resolver queue does not count. Default 10 s.
    #[serde(with = "seconds::optional")]
    pub connect: Option<Duration>,
    /// The longest gap between bytes, the wait for the response's head included. Default 60 s.
    #[serde(with = "seconds::optional")]
    pub read: Option<Duration>,
    /// One attempt from its start to the last byte, redirects included. Default none, so that a long
    /// download lives; see [`Timeouts::bulk`].
    #[serde(with = "seconds::optional")]
    pub total: Option<Duration>,
}

impl Timeouts {
    /// The defaults of a bulk run: as [`Timeouts::default`], with `total` 300 s.
    pub fn bulk() -> Self {
        Timeouts { total: Some(Duration::from_secs(300)), ..Timeouts::default() }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            pool: None,
            dns: None,
            connect: Some(Duration::from_secs(10)),
            read: Some(Duration::from_secs(60)),
            total: None,
        }
    }
}

/// Durations as numbers of seconds, for `#[serde(with = …)]`.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes whole seconds as an integer, others as a fraction.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        if value.subsec_nanos() == 0 {
            value.as_secs().serialize(serializer)
        } else {
            value.as_secs_f64().serialize(serializer)
        }
    }

    /// Reads a number of seconds.
    ///
    /// # Errors
    /// Negative, not finite, or no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        f64::deserialize(deserializer).and_then(checked)
    }

    fn checked<E: serde::de::Error>(seconds: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| E::custom(format!("{seconds} is no length of time: seconds from 0 on are")))
    }

    /// The same for a duration that may be none (`null`).
    pub mod optional {
        use super::*;

        /// As [`super::serialize`].
        ///
        /// # Errors
        /// The serializer's.
        pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// As [`super::deserialize`].
        ///
        /// # Errors
        /// As there.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Option::<f64>::deserialize(deserializer)?.map(checked).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_fields_keep_their_defaults_and_null_removes_a_limit() {
        let read: Timeouts = serde_json::from_str(r#"{"connect":2.5,"read":null}"#).unwrap();
        let wanted = Timeouts { connect: Some(Duration::from_millis(2500)), read: None, ..Timeouts::default() };
        assert_eq!(read, wanted);
        assert_eq!(serde_json::from_str::<Timeouts>("{}").unwrap(), Timeouts::default());
    }

    #[test]
    fn every_value_reads_back() {
        let text = serde_json::to_string(&Timeouts::bulk()).unwrap();
        assert_eq!(text, r#"{"pool":null,"dns":null,"connect":10,"read":60,"total":300}"#);
        let odd = Timeouts { pool: Some(Duration::from_millis(100)), total: Some(Duration::ZERO), ..Timeouts::bulk() };
        let text = serde_json::to_string(&odd).unwrap();
        assert_eq!(serde_json::from_str::<Timeouts>(&text).unwrap(), odd);
    }

    #[test]
    fn what_is_no_length_of_time_or_no_field_is_refused() {
        for text in [r#"{"read":-1}"#, r#"{"read":1e300}"#, r#"{"read":"5"}"#, r#"{"reed":5}"#] {
            assert!(serde_json::from_str::<Timeouts>(text).is_err(), "{text}");
        }
    }
}
