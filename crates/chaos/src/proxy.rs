//! A proxy that carries bytes and does to them what the weather says.
//!
//! It stands between a process and its database, between a process and WeChat, and between
//! clients and a process. Where it leads to may change while it stands, so a process that begins
//! again on another port is found again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::weather::{Piece, Way, Weather};

/// Bytes that pass in one piece.
const PIECE_MAX: usize = 16 * 1024;
/// Bytes of a crumb, and how long the next one takes.
const CRUMB: usize = 7;
const CRUMB_WAIT: Duration = Duration::from_millis(2);
/// A piece longer than this crumbles only at its beginning, or it would never be over.
const CRUMBLES_MAX: usize = 700;

/// A standing proxy. It stands until the process ends.
#[derive(Clone, Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    targets: Mutex<Vec<SocketAddr>>,
    weather: watch::Sender<Weather>,
    connections: AtomicUsize,
}

impl Proxy {
    /// Stands in front of nobody yet.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn stand() -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no free port for a proxy")?;
        let shared = Arc::new(Shared {
            targets: Mutex::default(),
            weather: watch::channel(Weather::Clear).0,
            connections: AtomicUsize::new(0),
        });
        let addr = listener.local_addr()?;
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Proxy { addr, shared })
    }

    /// Where it stands.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads to these from now on, in turn; connections that stand are left alone.
    pub fn lead_to(&self, targets: Vec<SocketAddr>) {
        *self.targets() = targets;
    }

    /// Changes the weather, for connections that stand as well.
    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    fn targets(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.shared
            .targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((caller, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let target = {
            let targets = shared
                .targets
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let place = number.checked_rem(targets.len()).unwrap_or(0);
            targets.get(place).copied()
        };
        let weather = shared.weather.subscribe();
        tokio::spawn(carry(caller, target, weather));
    }
}

async fn carry(caller: TcpStream, target: Option<SocketAddr>, weather: watch::Receiver<Weather>) {
    let refused = *weather.borrow() == Weather::Reset;
    let callee = match target {
        Some(target) if !refused => TcpStream::connect(target).await.ok(),
        _ => None,
    };
    let Some(callee) = callee else {
        let _ = caller.set_zero_linger();
        return;
    };
    let _ = (caller.set_nodelay(true), callee.set_nodelay(true));
    let (from_caller, to_caller) = caller.into_split();
    let (from_callee, to_callee) = callee.into_split();
    // Whichever way breaks takes the other with it.
    let (broken, _) = watch::channel(false);
    let way = |from, to, way| Carrier {
        from,
        to,
        way,
        weather: weather.clone(),
        broken: broken.clone(),
    };
    let up = way(from_caller, to_callee, Way::Up);
    let down = way(from_callee, to_caller, Way::Down);
    tokio::join!(up.run(), down.run());
}

/// What carries bytes one way.
struct Carrier {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    way: Way,
    weather: watch::Receiver<Weather>,
    broken: watch::Sender<bool>,
}

impl Carrier {
    async fn run(mut self) {
        let mut over = self.broken.subscribe();
        let broke = tokio::select! {
            broke = self.carry() => broke,
            _ = over.wait_for(|broken| *broken) => true,
        };
        if broke {
            let _ = self.to.as_ref().set_zero_linger();
            let _ = self.from.as_ref().set_zero_linger();
            self.broken.send_replace(true);
        } else {
            let _ = self.to.shutdown().await;
        }
    }

    /// Carries until the end; answers whether the connection broke.
    async fn carry(&mut self) -> bool {
        let mut bytes = vec![0; PIECE_MAX];
        // Something was swallowed, so the connection is of no use when the weather clears up.
        let mut lost = false;
        loop {
            tokio::select! {
                changed = self.weather.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let weather = *self.weather.borrow_and_update();
                    if weather == Weather::Reset || (lost && weather == Weather::Clear) {
                        return true;
                    }
                    if weather == Weather::HalfClosed && self.way == Way::Down {
                        lost = true;
                        let _ = self.to.shutdown().await;
                    }
                }
                read = self.from.read(&mut bytes) => {
                    let length = match read {
                        Err(_) => return true,
                        Ok(0) => return lost,
                        Ok(length) => length,
                    };
                    match self.pass(&bytes[..length]).await {
                        Passed::Through => {}
                        Passed::Swallowed => lost = true,
                        Passed::Not => return true,
                    }
                }
            }
        }
    }

    async fn pass(&mut self, mut bytes: &[u8]) -> Passed {
        while !bytes.is_empty() {
            let weather = *self.weather.borrow();
            let (now, then) = match weather.piece(self.way) {
                Piece::Passes => (bytes.len(), Duration::ZERO),
                Piece::Late(ms) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    (bytes.len(), Duration::ZERO)
                }
                Piece::Crumbles if bytes.len() > CRUMBLES_MAX => {
                    (bytes.len() - CRUMBLES_MAX, Duration::ZERO)
                }
                Piece::Crumbles => (CRUMB.min(bytes.len()), CRUMB_WAIT),
                Piece::Waits => {
                    if self.weather.changed().await.is_err() {
                        return Passed::Not;
                    }
                    continue;
                }
                Piece::Lost => return Passed::Swallowed,
                Piece::Breaks => return Passed::Not,
            };
            if self.to.write_all(&bytes[..now]).await.is_err() {
                return Passed::Not;
            }
            bytes = &bytes[now..];
            if !then.is_zero() {
                tokio::time::sleep(then).await;
            }
        }
        Passed::Through
    }
}

/// What became of a piece.
enum Passed {
    Through,
    Swallowed,
    Not,
}
