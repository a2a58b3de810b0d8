//! The life cycle of an instance: a pure function from a state and an input to the next state and what
//! has to be done about it.
//!
//! The happy path: `Created` → start → `Starting` → QR codes → `Pairing` → scanned → `Linking` → the
//! 515 restart → `Online`. A linked one goes `Dialing` → `Online` and back to `Dialing` whenever the
//! socket is lost. It leaves the circle only with a reason (`Stopped`), and loses its link only by a
//! logout that WhatsApp or the user ordered.
//!
//! What comes late or twice (a QR after the stop, a second "connected") changes nothing: engines report
//! what they see, the order of reports is not theirs to promise.

use super::pairing::QrCode;
use super::{Identity, Reason, Status};
use std::time::Duration;

use crate::clock::Millis;

/// Where an instance is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Unlinked; a socket is being opened to ask for QR codes.
    Starting,
    /// Unlinked; a code is on show.
    Pairing(QrCode),
    /// A phone scanned; WhatsApp restarts the stream and the first login follows.
    Linking(Identity),
    /// Linked; a socket is being opened. The reason is why the last one ended, if it did.
    Dialing {
        /// Whose number it is.
        identity: Identity,
        /// Why there is no connection yet.
        because: Option<Reason>,
    },
    /// Linked and logged in.
    Online(Identity),
    /// Not running. `identity` is kept when the link still stands.
    Stopped {
        /// Whose number it is, while linked.
        identity: Option<Identity>,
        /// Why it does not run.
        because: Reason,
    },
}

/// What can happen to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Its user, or the server's start, wants it to run.
    Start,
    /// Its user, or the server's stop, wants it to rest.
    Stop,
    /// The engine shows a code, new or refreshed.
    QrShown {
        /// The text of the QR image.
        text: String,
        /// When.
        now: Millis,
        /// How long a new reference is good for.
        valid_for: Duration,
    },
    /// All codes of the round were shown.
    QrExhausted,
    /// The same, and another round is to begin.
    NextRound,
    /// A phone scanned the code and WhatsApp confirmed the link.
    Paired(Identity),
    /// Logged in. Carries what the login taught about the account.
    Opened(Identity),
    /// The connection ended or could not be made; the engine tries again by itself.
    Lost(Reason),
    /// The connection ended and the engine will not try again. A logout also ends the link of an
    /// instance that is not running.
    Ended(Reason),
}

/// What must be done about a change, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start the engine's session.
    StartSession,
    /// Stop it; the link stays.
    StopSession,
    /// The link is gone: forget keys and sessions.
    ForgetSession,
    /// Write the row and the event, then tell who watches.
    Announce,
}

impl State {
    /// The state to begin with for a stored instance.
    #[must_use]
    pub fn stored(identity: Option<Identity>, reason: Option<Reason>, ever_started: bool) -> Self {
        match (identity, reason) {
            (None, None) if !ever_started => Self::Created,
            (identity, reason) => {
                Self::Stopped { identity, because: reason.unwrap_or(Reason::Stopped) }
            }
        }
    }

    /// The word for users.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Created => Status::Created,
            Self::Starting | Self::Pairing(_) | Self::Linking(_) => Status::Connecting,
            // A linked number that is trying to come back is on its way, unless what answers can't be
            // trusted: then it is off until somebody looks.
            Self::Dialing { because: Some(Reason::UntrustedServer), .. } => Status::Disconnected,
            Self::Dialing { .. } => Status::Connecting,
            Self::Online(_) => Status::Connected,
            Self::Stopped { .. } => Status::Disconnected,
        }
    }

    /// Why it is not connected, where there is something to say.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Dialing { because, .. } => *because,
            Self::Stopped { because, .. } => Some(*because),
            _ => None,
        }
    }

    /// Whose number it is, as long as it is linked.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Linking(identity) | Self::Online(identity) | Self::Dialing { identity, .. } => {
                Some(identity)
            }
            Self::Stopped { identity, .. } => identity.as_ref(),
            Self::Created | Self::Starting | Self::Pairing(_) => None,
        }
    }

    /// Whether a session of the engine is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !matches!(self, Self::Created | Self::Stopped { .. })
    }

    /// The next state and what to do about it. An input that changes nothing has no effects.
    #[must_use]
    pub fn next(self, input: Input) -> (Self, Vec<Effect>) {
        let before = self.clone();
        let (after, mut effects) = match input {
            Input::Start => self.start(),
            Input::Stop => self.stop(),
            Input::QrShown { text, now, valid_for } => (self.show(text, now, valid_for), vec![]),
            Input::QrExhausted => self.exhaust(),
            Input::NextRound => self.begin_again(),
            Input::Paired(identity) => (self.pair(identity), vec![]),
            Input::Opened(identity) => (self.open(identity), vec![]),
            Input::Lost(reason) => (self.lose(reason), vec![]),
            Input::Ended(reason) => self.end(reason),
        };
        if after != before {
            effects.push(Effect::Announce);
        }
        (after, effects)
    }

    fn start(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Created | Self::Stopped { identity: None, .. } => {
                (Self::Starting, vec![Effect::StartSession])
            }
            Self::Stopped { identity: Some(identity), .. } => {
                (Self::Dialing { identity, because: None }, vec![Effect::StartSession])
            }
            running => (running, vec![]),
        }
    }

    fn stop(self) -> (Self, Vec<Effect>) {
        if !self.is_running() {
            return (self, vec![]);
        }
        let identity = self.identity().cloned();
        (Self::Stopped { identity, because: Reason::Stopped }, vec![Effect::StopSession])
    }

    fn show(self, text: String, now: Millis, valid_for: Duration) -> Self {
        match self {
            Self::Starting => Self::Pairing(QrCode::follow(None, text, now, valid_for)),
            Self::Pairing(old) => Self::Pairing(QrCode::follow(Some(&old), text, now, valid_for)),
            other => other,
        }
    }

    fn exhaust(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Starting | Self::Pairing(_) => (
                Self::Stopped { identity: None, because: Reason::QrExpired },
                vec![Effect::StopSession],
            ),
            other => (other, vec![]),
        }
    }

    fn begin_again(self) -> (Self, Vec<Effect>) {
        match self {
            Self::Starting | Self::Pairing(_) => {
                (Self::Starting, vec![Effect::StopSession, Effect::StartSession])
            }
            other => (other, vec![]),
        }
    }

    fn pair(self, identity: Identity) -> Self {
        match self {
            Self::Starting | Self::Pairing(_) => Self::Linking(identity),
            other => other,
        }
    }

    fn open(self, identity: Identity) -> Self {
        match self {
            Self::Starting
            | Self::Pairing(_)
            | Self::Linking(_)
            | Self::Dialing { .. }
            | Self::Online(_) => Self::Online(identity),
            stopped => stopped,
        }
    }

    fn lose(self, reason: Reason) -> Self {
        match self {
            Self::Online(identity) | Self::Linking(identity) | Self::Dialing { identity, .. } => {
                Self::Dialing { identity, because: Some(reason) }
            }
            // A code dies with the socket that asked for it: showing it on would show a stale one.
            Self::Pairing(_) => Self::Starting,
            other => other,
        }
    }

    fn end(self, reason: Reason) -> (Self, Vec<Effect>) {
        let linked = self.identity().cloned();
        if !self.is_running() {
            return if reason == Reason::LoggedOut && linked.is_some() {
                (Self::Stopped { identity: None, because: reason }, vec![Effect::ForgetSession])
            } else {
                (self, vec![])
            };
        }
        if reason == Reason::LoggedOut {
            let effects = vec![Effect::StopSession, Effect::ForgetSession];
            return (Self::Stopped { identity: None, because: reason }, effects);
        }
        (Self::Stopped { identity: linked, because: reason }, vec![Effect::StopSession])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity() -> Identity {
        Identity {
            jid: "5511999999999@s.whatsapp.net".parse().expect("a JID"),
            lid: None,
            profile_name: None,
        }
    }

    fn qr(reference: u8) -> Input {
        Input::QrShown {
            text: format!("2@{reference},k"),
            now: Millis(0),
            valid_for: Duration::from_secs(20),
        }
    }

    #[test]
    fn the_happy_path() {
        let mut state = State::Created;
        let mut statuses = vec![];
        for input in [
            Input::Start,
            qr(1),
            qr(2),
            Input::Paired(identity()),
            Input::Opened(identity()),
            Input::Lost(Reason::Network),
            Input::Opened(identity()),
            Input::Stop,
        ] {
            state = state.next(input).0;
            statuses.push(state.status().as_str());
        }
        assert_eq!(
            statuses,
            [
                "connecting",
                "connecting",
                "connecting",
                "connecting",
                "connected",
                "connecting",
                "connected",
                "disconnected"
            ]
        );
        assert_eq!(state.identity(), Some(&identity()));
    }

    #[test]
    fn a_logout_forgets_the_keys() {
        let (state, effects) = State::Online(identity()).next(Input::Ended(Reason::LoggedOut));
        assert_eq!(effects, [Effect::StopSession, Effect::ForgetSession, Effect::Announce]);
        assert_eq!(state.reason(), Some(Reason::LoggedOut));
    }

    #[test]
    fn a_code_is_not_shown_when_its_socket_is_gone() {
        let pairing = State::Starting.next(qr(1)).0;
        assert_eq!(pairing.next(Input::Lost(Reason::Network)).0, State::Starting);
    }

    #[test]
    fn a_second_report_of_the_same_changes_nothing() {
        let online = State::Online(identity());
        assert_eq!(online.clone().next(Input::Opened(identity())), (online.clone(), vec![]));
        assert_eq!(online.clone().next(qr(1)), (online, vec![]));
    }

    fn any_reason() -> impl Strategy<Value = Reason> {
        proptest::sample::select(Reason::ALL.to_vec())
    }

    fn any_input() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Start),
            Just(Input::Stop),
            (0_u8..4).prop_map(qr),
            Just(Input::QrExhausted),
            Just(Input::NextRound),
            Just(Input::Paired(identity())),
            Just(Input::Opened(identity())),
            any_reason().prop_map(Input::Lost),
            any_reason().prop_map(Input::Ended),
        ]
    }

    proptest! {
        /// The link goes only by a logout; whoever is disconnected has a reason; the session runs
        /// exactly when the state says so; what changed is announced.
        #[test]
        fn no_sequence_loses_the_link_without_a_reason(
            inputs in proptest::collection::vec(any_input(), 0..60)
        ) {
            let mut state = State::Created;
            let mut running = false;
            for input in inputs {
                let linked = state.identity().is_some();
                let before = state.clone();
                let logout = input == Input::Ended(Reason::LoggedOut);
                let (after, effects) = state.next(input);
                for effect in &effects {
                    match effect {
                        Effect::StartSession => { prop_assert!(!running); running = true; }
                        Effect::StopSession => { prop_assert!(running); running = false; }
                        Effect::ForgetSession => prop_assert!(logout),
                        Effect::Announce => prop_assert!(after != before),
                    }
                }
                prop_assert_eq!(running, after.is_running());
                prop_assert_eq!(after != before, effects.contains(&Effect::Announce));
                if linked && after.identity().is_none() {
                    prop_assert!(logout);
                    prop_assert_eq!(after.reason(), Some(Reason::LoggedOut));
                }
                if after.status() == Status::Disconnected {
                    prop_assert!(after.reason().is_some());
                }
                state = after;
            }
        }
    }
}
