//! One thread with one session. A session that is lost is opened anew once before the work fails.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use lingqian_io::keys::KeyFault;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::TokenSettings;
use super::fault::{fault, pin_refused, session_lost};
use super::module;

/// A token that is away is looked for again after this, and after twice as long each time.
const AWAY_FIRST: Duration = Duration::from_secs(1);
/// At most so long after the last time.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// What is to be done with a session.
pub(crate) type Work = Box<dyn FnMut(&mut Seat) -> Result<Vec<u8>, Trouble> + Send>;

/// Work and whoever waits for it.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: oneshot::Sender<Result<Vec<u8>, KeyFault>>,
}

/// Why work was not done: the token's word, or ours.
pub(crate) enum Trouble {
    Token(Error),
    Ours(KeyFault),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Token(error)
    }
}

/// What the threads of one token know together about logging in.
#[derive(Default)]
pub(crate) struct Gate {
    /// A PIN that was refused is not tried again: a few wrong ones lock the token.
    refused: Option<Zeroizing<String>>,
    away: u32,
    next_try: Option<Instant>,
}

/// A thread's place at the token.
pub(crate) struct Seat {
    settings: Arc<TokenSettings>,
    gate: Arc<Mutex<Gate>>,
    session: Option<Session>,
    handles: BTreeMap<(u8, String), ObjectHandle>,
}

impl Seat {
    pub(crate) fn new(settings: Arc<TokenSettings>, gate: Arc<Mutex<Gate>>) -> Seat {
        Seat {
            settings,
            gate,
            session: None,
            handles: BTreeMap::new(),
        }
    }

    /// Works until nobody can ask any more.
    pub(crate) fn serve(mut self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = {
                let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.recv()
            };
            let Ok(mut job) = job else { return };
            if job.reply.is_closed() {
                continue;
            }
            let done = self.done(&mut job.work);
            let _ = job.reply.send(done);
        }
    }

    /// Does it, with a new session if the old one was lost.
    pub(crate) fn done(&mut self, work: &mut Work) -> Result<Vec<u8>, KeyFault> {
        let fresh = self.session.is_none();
        match self.once(work) {
            Err(Trouble::Token(error)) if session_lost(&error) && !fresh => {
                tracing::warn!(error = %super::fault::word(&error), "a token's session was lost");
                self.leave();
                self.once(work)
            }
            other => other,
        }
        .map_err(|trouble| match trouble {
            Trouble::Ours(fault) => fault,
            Trouble::Token(error) => {
                if session_lost(&error) {
                    self.leave();
                }
                fault(&error)
            }
        })
    }

    fn once(&mut self, work: &mut Work) -> Result<Vec<u8>, Trouble> {
        self.sit().map_err(Trouble::Ours)?;
        work(self)
    }

    fn leave(&mut self) {
        self.handles.clear();
        self.session = None;
    }

    /// The open session.
    pub(crate) fn session(&self) -> Result<&Session, Trouble> {
        let none = || Trouble::Ours(KeyFault::Away("no session is open".into()));
        self.session.as_ref().ok_or_else(none)
    }

    /// The one object of a class with a label.
    pub(crate) fn object(
        &mut self,
        class: ObjectClass,
        label: &str,
    ) -> Result<ObjectHandle, Trouble> {
        let kind = match class {
            ObjectClass::PRIVATE_KEY => 0,
            ObjectClass::PUBLIC_KEY => 1,
            _ => 2,
        };
        if let Some(handle) = self.handles.get(&(kind, label.to_owned())) {
            return Ok(*handle);
        }
        let wanted = [Attribute::Class(class), Attribute::Label(label.into())];
        let found = self.session()?.find_objects(&wanted)?;
        let handle = match found.as_slice() {
            [handle] => *handle,
            // Whoever was logged out by somebody else no longer sees private keys.
            [] if !self.inside()? => {
                let out = Error::Pkcs11(RvError::UserNotLoggedIn, Function::FindObjects);
                return Err(Trouble::Token(out));
            }
            [] => return Err(Trouble::Ours(KeyFault::Unknown(label.to_owned()))),
            _ => {
                let words = format!("the token has several keys named {label}");
                return Err(Trouble::Ours(KeyFault::Broken(words)));
            }
        };
        self.handles.insert((kind, label.to_owned()), handle);
        Ok(handle)
    }

    fn inside(&self) -> Result<bool, Trouble> {
        let state = self.session()?.get_session_info()?.session_state();
        Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
    }

    /// Opens a session and logs in, unless both is done. One thread at a time, so that a wrong PIN
    /// costs one try and not one for each thread.
    fn sit(&mut self) -> Result<(), KeyFault> {
        if self.session.is_some() {
            return Ok(());
        }
        let gate = Arc::clone(&self.gate);
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.next_try.is_some_and(|at| Instant::now() < at) {
            return Err(KeyFault::Away("the token was away a moment ago".into()));
        }
        let pin = self.settings.pin.read()?;
        if gate.refused.as_ref() == Some(&pin) {
            return Err(wrong_pin(&self.settings));
        }
        match self.open(&pin) {
            Ok(session) => {
                *gate = Gate::default();
                self.session = Some(session);
                Ok(())
            }
            Err(Trouble::Token(error)) if pin_refused(&error) => {
                gate.refused = Some(pin);
                Err(wrong_pin(&self.settings))
            }
            Err(trouble) => {
                let fault = match trouble {
                    Trouble::Ours(fault) => fault,
                    Trouble::Token(error) => fault(&error),
                };
                gate.away = gate.away.saturating_add(1);
                let wait = AWAY_FIRST.saturating_mul(1 << (gate.away - 1).min(5));
                gate.next_try = Some(Instant::now() + wait.min(AWAY_MAX));
                Err(fault)
            }
        }
    }

    fn open(&self, pin: &Zeroizing<String>) -> Result<Session, Trouble> {
        let module = module::load(&self.settings.module).map_err(Trouble::Ours)?;
        let slot = slot(&module, &self.settings.label)?;
        let session = module.open_rw_session(slot)?;
        login(&session, UserType::User, pin)?;
        Ok(session)
    }
}

/// Logs in; everybody of a process is logged in together.
pub(crate) fn login(
    session: &Session,
    user: UserType,
    pin: &Zeroizing<String>,
) -> Result<(), Error> {
    match session.login(user, Some(&AuthPin::new(pin.as_str().into()))) {
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        done => done,
    }
}

/// The slot of the one token with a label.
pub(crate) fn slot(module: &cryptoki::context::Pkcs11, label: &str) -> Result<Slot, Trouble> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token()? {
        let Ok(info) = module.get_token_info(slot) else {
            continue;
        };
        if info.token_initialized() && info.label().trim_end() == label {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(Trouble::Ours(KeyFault::Away(format!(
            "no token named {label} is there"
        )))),
        _ => Err(Trouble::Ours(KeyFault::Broken(format!(
            "several tokens are named {label}"
        )))),
    }
}

fn wrong_pin(settings: &TokenSettings) -> KeyFault {
    KeyFault::Broken(format!(
        "the token {} refused the PIN of {}; it is not tried again until it is another one",
        settings.label,
        settings.pin.place()
    ))
}
