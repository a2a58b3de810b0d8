//! Faults by script: each was asked for by name, none happens by chance.

use std::time::Duration;

use tokio::time::Instant;

/// How long something is held back when only a count was given.
const HOLD: Duration = Duration::from_secs(5);

/// What can be made to go wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Connections are closed as soon as they come.
    Drop,
    /// Login is answered by `<failure reason=code>`.
    RefuseLogin,
    /// The ack of a message waits: until the fault is over, or each for its own time.
    DelayAcks,
    /// Messages are delivered twice.
    Duplicate,
    /// Messages are answered with an error ack and not delivered.
    Nack,
    /// IK hellos are answered by XX-fallback.
    RefuseResume,
    /// Links to media end for good: 410, or the fault's code.
    MediaGone,
    /// Media requests are answered with the fault's code.
    MediaFail,
    /// A media body ends after its half.
    MediaCut,
    /// The phone does not give a new device its key of its own accord.
    WithholdKey,
    /// The server's certificate has ended; for `*` only.
    ExpiredCertificate,
    /// Nobody is told of a new device.
    WithholdDevice,
    /// A client that asks for a pairing code is refused.
    RefuseCode,
    /// A message overtakes the one that waits before it.
    Reorder,
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lasts {
    Times(u32),
    Until(Instant),
}

impl Lasts {
    /// From a request: a count, else seconds, else once.
    pub(crate) fn of(count: Option<u32>, seconds: Option<f64>) -> Self {
        match (count, seconds) {
            (Some(count), _) => Self::Times(count),
            (None, Some(seconds)) => {
                let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
                Self::Until(Instant::now() + wait)
            }
            (None, None) => Self::Times(1),
        }
    }
}

/// One fault that is set.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// A phone number, or `*`.
    pub(crate) target: String,
    pub(crate) kind: FaultKind,
    pub(crate) code: Option<u16>,
    /// Of a temporary ban: why, and for how many seconds.
    pub(crate) ban: Option<(u16, u64)>,
    pub(crate) lasts: Lasts,
    /// How long each stanza is held back, of a fault that has a count.
    pub(crate) holds: Option<Duration>,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.set.push(fault);
    }

    /// Whether a fault strikes this number now; uses it up by one when it counts.
    pub(crate) fn strike(&mut self, kind: FaultKind, phone: &str) -> Option<Fault> {
        self.expire();
        let index = self.set.iter().position(|fault| {
            fault.kind == kind && (fault.target == "*" || fault.target == phone)
        })?;
        let fault = self.set[index].clone();
        if let Lasts::Times(left) = &mut self.set[index].lasts {
            *left = left.saturating_sub(1);
        }
        self.expire();
        Some(fault)
    }

    /// Until when a fault of this kind holds something of this number back.
    pub(crate) fn held_until(&mut self, kind: FaultKind, phone: &str) -> Option<Instant> {
        self.strike(kind, phone).map(|fault| match fault.lasts {
            Lasts::Until(end) => end,
            Lasts::Times(_) => Instant::now() + fault.holds.unwrap_or(HOLD),
        })
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.set.retain(|fault| match fault.lasts {
            Lasts::Times(left) => left > 0,
            Lasts::Until(end) => end > now,
        });
    }
}
