//! The steps of opening one connection: timed for the responses it will bring, and told to who watches.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Event, Tracer};
use crate::connect::TlsInfo;
use crate::timings::Opened;

/// Told by the connector where it stands. One clock reading per step.
pub(crate) struct Steps {
    tracer: Option<Arc<Tracer>>,
    /// When the step under way began.
    since: Instant,
    opened: Opened,
}

impl Steps {
    pub(crate) fn new(tracer: Option<Arc<Tracer>>) -> Self {
        Steps { tracer, since: Instant::now(), opened: Opened::default() }
    }

    /// A name is looked up, or known from before.
    pub(crate) fn on_lookup(&mut self, host: &str, cached: bool) {
        self.since = Instant::now();
        self.tell(&if cached { Event::DnsCacheHit { host } } else { Event::DnsStart { host } });
    }

    pub(crate) fn on_addresses(&mut self, addresses: &[IpAddr], cached: bool) {
        let took = self.took();
        self.opened.dns = Some(took);
        if !cached {
            self.tell(&Event::DnsEnd { addresses, took });
        }
    }

    pub(crate) fn on_connect(&mut self, host: &str, port: u16) {
        self.since = Instant::now();
        self.tell(&Event::ConnectStart { host, port });
    }

    pub(crate) fn on_connected(&mut self, peer: Option<SocketAddr>, local: Option<SocketAddr>) {
        let took = self.took();
        self.opened.connect = Some(took);
        (self.opened.peer, self.opened.local) = (peer, local);
        self.tell(&Event::ConnectEnd { peer, took });
    }

    pub(crate) fn on_handshake(&mut self) {
        self.since = Instant::now();
        self.tell(&Event::TlsStart);
    }

    pub(crate) fn on_secured(&mut self, secured: Option<TlsInfo>) {
        let took = self.took();
        self.opened.tls = Some(took);
        self.opened.secured = secured;
        self.tell(&Event::TlsEnd { took, tls: self.opened.secured.as_ref() });
    }

    /// What is kept with the connection.
    pub(crate) fn finish(&mut self) -> Arc<Opened> {
        Arc::new(std::mem::take(&mut self.opened))
    }

    fn took(&self) -> Duration {
        self.since.elapsed()
    }

    fn tell(&self, event: &Event<'_>) {
        if let Some(tracer) = &self.tracer {
            tracer.tell(event);
        }
    }
}
