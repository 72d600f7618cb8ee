//! Tokens that are refreshed: answers that are lost, two processes at once, and what each code does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use lingqian_core::id::{AppId, OpenId, UserId};
use lingqian_core::link::{Identity, Link, Standing};
use lingqian_core::user::Sealed;
use lingqian_engine::{Desk, Limits, links};
use lingqian_io::rail::{AppKind, IdentityFault, LinkScope, Remedy};
use lingqian_io::twin::{FaultPoint, ManualClock, MemoryStore, SeededDice};
use lingqian_io::{Browse as _, Clock as _, IdentityProvider, Ports};

use crate::wechat::{Nobody, SmallWechat};
use crate::world::World;

type Answer = Result<Identity, IdentityFault>;

/// WeChat's OAuth by a script; how often it was asked.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<(VecDeque<Answer>, u32)>>);

impl Scripted {
    fn says(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().expect("free").0.extend(answers);
    }

    fn asked(&self) -> u32 {
        self.0.lock().expect("free").1
    }
}

impl IdentityProvider for Scripted {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        Vec::new()
    }

    fn authorize_url(&self, _: &AppId, _: &str, _: &str, _: LinkScope) -> String {
        String::new()
    }

    async fn redeem(&self, _: &AppId, _: &str) -> Answer {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn by_code(&self, _: &AppId, _: &str) -> Answer {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn refresh(&self, _: &AppId, _: &Sealed) -> Answer {
        let mut script = self.0.lock().expect("free");
        script.1 += 1;
        let answer = script.0.pop_front();
        answer.unwrap_or(Err(IdentityFault::Unavailable("silence".into())))
    }

    async fn check(&self, _: &AppId, _: &Sealed) -> Result<bool, IdentityFault> {
        Ok(true)
    }
}

/// The world with that WeChat in it.
#[derive(Clone)]
struct Linked {
    world: World,
    oauth: Scripted,
}

impl Ports for Linked {
    type Store = MemoryStore;
    type Rail = SmallWechat;
    type Identity = Scripted;
    type Sealer = Nobody;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &MemoryStore {
        self.world.store()
    }
    fn rail(&self) -> &SmallWechat {
        self.world.rail()
    }
    fn identity(&self) -> &Scripted {
        &self.oauth
    }
    fn sealer(&self) -> &Nobody {
        self.world.sealer()
    }
    fn clock(&self) -> &ManualClock {
        self.world.clock()
    }
    fn dice(&self) -> &SeededDice {
        self.world.dice()
    }
}

impl Linked {
    /// Alice's tokens are due.
    async fn due() -> Linked {
        let linked = Linked {
            world: World::new().await,
            oauth: Scripted::default(),
        };
        linked.world.clock.advance_ms(7 * 86_400_000);
        linked
    }

    async fn run(&self) -> u64 {
        let pass = async |desk: Desk| links::links(self, &desk, &Limits::default()).await;
        let done = self.world.live(pass).await;
        done.map_or(0, |progress| progress.taken)
    }

    async fn link(&self) -> Link {
        let alice = UserId::parse("alice").expect("an id");
        let today = self.world.clock.business().business_date();
        let found = self.world.store.user(&alice, today).await;
        let wallet = found.expect("a look").expect("alice");
        wallet.links.into_values().next().expect("a link")
    }
}

fn renewed(token: u8) -> Answer {
    Ok(Identity {
        openid: OpenId::parse("oAlice").expect("an id"),
        unionid: None,
        scope: "snsapi_base".into(),
        snapshot: false,
        tokens: Some(Sealed(vec![token])),
    })
}

fn refused(errcode: i64, remedy: Remedy) -> Answer {
    Err(IdentityFault::Refused { errcode, remedy })
}

#[tokio::test]
async fn tokens_are_refreshed_when_they_are_due_and_once() {
    let linked = Linked::due().await;
    linked.oauth.says([renewed(9)]);
    assert_eq!((linked.run().await, linked.run().await), (1, 0));
    assert_eq!(linked.oauth.asked(), 1);
    let link = linked.link().await;
    assert_eq!((link.tokens, link.version), (Some(Sealed(vec![9])), 2));
}

#[tokio::test]
async fn a_process_that_dies_with_the_answer_leaves_the_link_to_the_next_one() {
    let linked = Linked::due().await;
    linked.oauth.says([renewed(8), renewed(9)]);
    linked.world.store.fail_next(FaultPoint::Commit);
    linked.run().await;
    let link = linked.link().await;
    assert_eq!(
        (link.version, link.standing),
        (1, Standing::Active),
        "as it was"
    );
    assert_eq!(
        linked.run().await,
        0,
        "another process leaves it alone meanwhile"
    );
    linked.world.clock.advance_ms(Limits::default().lease_ms);
    assert_eq!(linked.run().await, 1, "the lease has ended");
    assert_eq!(linked.link().await.tokens, Some(Sealed(vec![9])));
}

#[tokio::test]
async fn only_what_says_that_the_grant_ended_ends_it() {
    let day = 86_400_000;
    for (answer, standing, wait) in [
        (refused(-1, Remedy::Again), Standing::Active, 10_000),
        (refused(45_011, Remedy::Slower), Standing::Active, 60_000),
        (refused(45_009, Remedy::Tomorrow), Standing::Active, day),
        (
            refused(40_125, Remedy::Configure),
            Standing::Active,
            3_600_000,
        ),
        (
            refused(12_345, Remedy::Unheard),
            Standing::Active,
            3_600_000,
        ),
        (
            Err(IdentityFault::Unavailable("timeout".into())),
            Standing::Active,
            10_000,
        ),
        (
            refused(42_002, Remedy::Restart),
            Standing::NeedsReauthorization,
            0,
        ),
        (
            refused(40_226, Remedy::Blocked),
            Standing::NeedsReauthorization,
            0,
        ),
    ] {
        let linked = Linked::due().await;
        linked.oauth.says([answer.clone()]);
        assert_eq!(linked.run().await, 1);
        let link = linked.link().await;
        assert_eq!(link.standing, standing, "{answer:?}");
        let now = linked.world.clock.business();
        let left = link.refresh_at.map_or(0, |at| at.since_ms(now));
        assert!(
            left <= wait && left >= wait.min(3_600_000),
            "{answer:?}: {left}"
        );
        assert_eq!(linked.run().await, 0, "WeChat is left alone");
        assert_eq!(linked.oauth.asked(), 1);
    }
}
