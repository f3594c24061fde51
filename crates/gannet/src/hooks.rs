//! What a request brings along beside its options: who watches it. One pointer in a request that brings nothing.

use crate::trace::OwnTrace;

#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    pub(crate) trace: OwnTrace,
}
