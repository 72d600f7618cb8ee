//! All ports of one process of the pretend world.

use std::sync::Arc;

use lingqian_core::id::{AppId, OpenId};
use lingqian_core::link::Identity;
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::{AppKind, IdentityFault, LinkScope, Remedy};
use lingqian_io::twin::{ManualClock, SeededDice};
use lingqian_io::{Browse, IdentityProvider, Ports, Sealer, Store};

use crate::scene::Scene;
use crate::store::SimStore;
use crate::wechat::rail::SimRail;

/// What seals nothing: nobody reads the sealed fields here.
#[derive(Clone, Debug)]
pub struct NoSealer;

impl Sealer for NoSealer {
    async fn seal(&self, _purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        Ok(Sealed(plain.to_vec()))
    }

    async fn open(&self, _purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.0.clone())
    }
}

/// WeChat's OAuth: a code is the wallet's name and a number.
#[derive(Clone, Debug)]
pub struct SimIdentity {
    scene: Scene,
    process: usize,
}

impl IdentityProvider for SimIdentity {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        Vec::new()
    }

    fn authorize_url(
        &self,
        _app: &AppId,
        redirect_uri: &str,
        state: &str,
        _scope: LinkScope,
    ) -> String {
        format!("{redirect_uri}?state={state}")
    }

    async fn redeem(&self, _app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.scene.moment(self.process).await;
        let wallet = code.rsplit_once('#').map_or(code, |(wallet, _)| wallet);
        let openid = OpenId::parse(wallet).map_err(|_| IdentityFault::Refused {
            errcode: 40_029,
            remedy: Remedy::Restart,
        })?;
        self.scene.moment(self.process).await;
        Ok(Identity {
            openid,
            unionid: None,
            scope: "snsapi_base".into(),
            snapshot: false,
            tokens: Some(Sealed(Vec::new())),
        })
    }

    async fn by_code(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.redeem(app, code).await
    }

    async fn refresh(&self, _app: &AppId, _tokens: &Sealed) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nobody asks here".into()))
    }

    async fn check(&self, _app: &AppId, _tokens: &Sealed) -> Result<bool, IdentityFault> {
        Ok(true)
    }
}

#[derive(Debug)]
struct All<S> {
    store: SimStore<S>,
    rail: SimRail,
    identity: SimIdentity,
    clock: Arc<ManualClock>,
    dice: SeededDice,
}

/// The ports of one process.
#[derive(Debug)]
pub struct SimPorts<S>(Arc<All<S>>);

impl<S> Clone for SimPorts<S> {
    fn clone(&self) -> Self {
        SimPorts(Arc::clone(&self.0))
    }
}

impl<S: Store + Browse + Clone> SimPorts<S> {
    pub(crate) fn new(
        store: SimStore<S>,
        scene: &Scene,
        process: usize,
        clock: &Arc<ManualClock>,
        seed: u64,
    ) -> SimPorts<S> {
        SimPorts(Arc::new(All {
            store,
            rail: SimRail {
                scene: scene.clone(),
                process,
                clock: Arc::clone(clock),
            },
            identity: SimIdentity {
                scene: scene.clone(),
                process,
            },
            clock: Arc::clone(clock),
            dice: SeededDice::new(seed),
        }))
    }
}

impl<S: Store + Browse + Clone> Ports for SimPorts<S> {
    type Store = SimStore<S>;
    type Rail = SimRail;
    type Identity = SimIdentity;
    type Sealer = NoSealer;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &SimStore<S> {
        &self.0.store
    }

    fn rail(&self) -> &SimRail {
        &self.0.rail
    }

    fn identity(&self) -> &SimIdentity {
        &self.0.identity
    }

    fn sealer(&self) -> &NoSealer {
        &NoSealer
    }

    fn clock(&self) -> &ManualClock {
        &self.0.clock
    }

    fn dice(&self) -> &SeededDice {
        &self.0.dice
    }
}
