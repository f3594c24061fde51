//! Standard input as the value of an option (`@-`): read once, whole, and by one taker alone. Whether more than one
//! would take it is seen before anything is read.

use std::io::{self, Read};
use std::sync::OnceLock;

use crate::exit::usage;

/// All of it. A run is known by it and sends it: it is read for the first of them and kept.
///
/// # Errors
/// Usage: it cannot be read.
pub(crate) fn read(option: &str) -> anyhow::Result<&'static [u8]> {
    static ALL: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all = Vec::new();
        io::stdin().lock().read_to_end(&mut all).map_err(|error| error.to_string())?;
        Ok(all)
    });
    all.as_deref().map_err(|error| usage(format!("{option}: cannot read stdin: {error}")))
}

/// Whether one alone takes it.
///
/// # Errors
/// Usage: the first two of more, named.
pub(crate) fn check(takers: impl IntoIterator<Item = &'static str>) -> anyhow::Result<()> {
    let mut takers = takers.into_iter();
    match (takers.next(), takers.next()) {
        (Some(one), Some(other)) => {
            Err(usage(format!("{one} and {other}: stdin is read by one of them alone; give the other a file")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_takes_it() {
        assert!(check([]).is_ok() && check(["-d @-"]).is_ok());
        let refused = check(["-d @-", "INPUT -"]).unwrap_err().to_string();
        assert!(refused.contains("-d @-") && refused.contains("INPUT -"), "{refused}");
    }
}
