//! What a request brings along beside its options: who watches it, what stands around it, what is asked about its
//! redirects, what is left out. One pointer in a request that brings nothing.

use std::fmt;
use std::sync::Arc;

use crate::middleware::{Chain, Middleware};
use crate::redirect_rule::RedirectRule;
use crate::trace::OwnTrace;

#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) trace: OwnTrace,
    /// In place of the session's, if there are any here, be it none at all.
    pub(crate) middlewares: Option<Chain>,
    /// In place of the session's.
    pub(crate) redirect: Option<RedirectRule>,
    /// Names of fields that the session does not add.
    pub(crate) without: Vec<String>,
}

impl Hooks {
    /// Adds one behind those that are there.
    pub(crate) fn add(&mut self, middleware: Arc<dyn Middleware>) {
        let known = self.middlewares.take();
        self.middlewares = Some(known.iter().flat_map(|known| known.iter().cloned()).chain([middleware]).collect());
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middlewares = self.middlewares.as_ref().map(|chain| chain.len());
        f.debug_struct("Hooks").field("trace", &self.trace).field("middlewares", &middlewares).finish_non_exhaustive()
    }
}
