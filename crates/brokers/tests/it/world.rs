//! Books in memory with two users and one kind, and a way into them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lingqian_brokers::figures::Figures;
use lingqian_brokers::intake::Intake;
use lingqian_brokers::mapping::{Map, Plain, Reader};
use lingqian_core::Command;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{AppId, KindCode, KindNo, MchId, OutBillNo, UserId};
use lingqian_core::link::Identity;
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Claims, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_engine::{Desk, DeskSettings};
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::{
    AppKind, FetchedBill, IdentityFault, LinkScope, Notification, Opened, Refusal,
};
use lingqian_io::store::LetterWish;
use lingqian_io::twin::{ManualClock, MemoryStore, SeededDice};
use lingqian_io::{Browse as _, Fault, IdentityProvider, Ports, Rail, Sealer, Store as _};

/// The longest message, in bytes.
pub(crate) const BYTES_MAX: usize = 20_000;
/// How long a story may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    clock: Arc<ManualClock>,
    dice: Arc<SeededDice>,
}

/// Whatever no broker asks for.
#[derive(Clone)]
pub(crate) struct Nothing;

fn unknown(number: OutBillNo) -> TransferReport {
    TransferReport {
        number,
        origin: Origin::Answer,
        finding: Finding::Unknown {
            code: "nothing".into(),
        },
        bill_no: None,
        at: None,
        claims: Claims::default(),
        evidence: Evidence::default(),
    }
}

impl Rail for Nothing {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        unknown(order.number)
    }
    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        unknown(number)
    }
    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        unknown(number)
    }
    async fn open(&self, _: &Notification) -> Result<Opened, Refusal> {
        Err(Refusal::SerialUnknown)
    }
    async fn bill(&self, _: &MchId, _: BusinessDate) -> Result<FetchedBill, Fault> {
        Err(Fault::Broken("nothing".into()))
    }
}

impl IdentityProvider for Nothing {
    fn authorize_url(&self, _: &AppId, _: &str, _: &str, _: LinkScope) -> String {
        String::new()
    }
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        Vec::new()
    }
    async fn by_code(&self, _: &AppId, _: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
    async fn redeem(&self, _: &AppId, _: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
    async fn refresh(&self, _: &AppId, _: &Sealed) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
    async fn check(&self, _: &AppId, _: &Sealed) -> Result<bool, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
}

impl Sealer for Nothing {
    async fn seal(&self, _: &str, _: &[u8]) -> Result<Sealed, KeyFault> {
        Err(KeyFault::Broken("nothing".into()))
    }
    async fn open(&self, _: &str, _: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Err(KeyFault::Broken("nothing".into()))
    }
}

impl Ports for World {
    type Store = MemoryStore;
    type Rail = Nothing;
    type Identity = Nothing;
    type Sealer = Nothing;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &MemoryStore {
        &self.store
    }
    fn rail(&self) -> &Nothing {
        &Nothing
    }
    fn identity(&self) -> &Nothing {
        &Nothing
    }
    fn sealer(&self) -> &Nothing {
        &Nothing
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn dice(&self) -> &SeededDice {
        &self.dice
    }
}

/// A message in a form of its own; the map below reads it.
pub(crate) fn message(id: &str, user: &str) -> String {
    format!(r#"{{"v":1,"id":"{id}","who":"{user}","what":"watched","micros":5}}"#)
}

pub(crate) fn reader() -> Reader {
    let map = Map {
        source: "=app".into(),
        event_id: "id".into(),
        user: "who".into(),
        kind: "what".into(),
        amount_micros: Some("micros".into()),
        schema: Some("v".into()),
        kinds: [("watched".to_owned(), "ad_view".to_owned())].into(),
        ..Map::default()
    };
    let plain: Plain = |_, _| unreachable!("a map is there");
    Reader::new(plain, Some(map), vec!["1".into()], BYTES_MAX)
}

impl World {
    /// Books, and the desk with its work still to be run.
    pub(crate) async fn new() -> (World, Desk, impl Future<Output = ()> + Send) {
        let world = World {
            store: MemoryStore::default(),
            clock: Arc::new(ManualClock::new(Timestamp(1_772_424_000_000))),
            dice: Arc::new(SeededDice::new(3)),
        };
        let open = |world: &World| {
            let clock = Arc::clone(&world.clock);
            Desk::open(world.store.clone(), clock, DeskSettings::default())
        };
        let (desk, work) = open(&world);
        let working = tokio::spawn(work);
        let kind = Kind {
            no: KindNo(1),
            code: KindCode::parse("ad_view").expect("valid"),
            price: None,
            amount_max: Micros(100_000_000),
            tax_class: "incidental".into(),
            terms: Terms::default(),
        };
        let user = |id: &str| Command::RegisterUser {
            user: UserId::parse(id).expect("valid"),
            name: None,
        };
        let setup = vec![Command::DefineKind(kind), user("alice"), user("bob")];
        for answer in desk.submit_all(setup).await.expect("no fault") {
            answer.expect("no rejection");
        }
        working.abort();
        let (desk, work) = open(&world);
        (world, desk, work)
    }

    /// The same with a desk that works.
    pub(crate) async fn working() -> (World, Desk) {
        let (world, desk, work) = World::new().await;
        tokio::spawn(work);
        (world, desk)
    }

    pub(crate) fn intake(&self, desk: &Desk, door: &str) -> Intake<World> {
        Intake {
            ports: self.clone(),
            desk: desk.clone(),
            reader: reader(),
            figures: Arc::new(Figures::default()),
            door: door.to_owned(),
        }
    }

    /// How many events were credited; the books must be whole.
    pub(crate) async fn credited(&self) -> u64 {
        let audited = self.store.audit().await.expect("reads");
        assert_eq!(audited.findings, []);
        let (count, sum) = self.store.summary().await.expect("reads").earned;
        assert_eq!(sum, i128::from(count) * 5);
        count
    }

    /// The clock goes on.
    #[cfg(feature = "rabbitmq")]
    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("not for ever");
        self.clock.advance_ms(ms);
    }

    /// How many letters there are of each code, and how often they came.
    pub(crate) async fn letters(&self) -> BTreeMap<String, (usize, u64)> {
        let wish = LetterWish {
            all: true,
            limit: u32::MAX,
        };
        let mut all: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for row in self.store.letters(wish).await.expect("reads") {
            let (letters, times) = all.entry(row.letter.code).or_default();
            *letters += 1;
            *times += row.times;
        }
        all
    }

    /// What the newest letter of a code says.
    #[cfg(feature = "kafka")]
    pub(crate) async fn letter(&self, code: &str) -> Vec<u8> {
        let wish = LetterWish {
            all: true,
            limit: u32::MAX,
        };
        let mut all = self.store.letters(wish).await.expect("reads").into_iter();
        let found = all.find(|row| row.letter.code == code).expect("a letter");
        let whole = self.store.letter(found.id).await.expect("reads");
        whole.expect("it is there").letter.raw
    }

    pub(crate) async fn marks(&self) -> BTreeMap<String, i64> {
        let marks = self.store.marks(String::new()).await.expect("reads");
        let marks = marks.into_iter();
        marks.map(|mark| (mark.name, mark.position)).collect()
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(
            began.elapsed() < PATIENCE,
            "it did not come to this: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Messages that can never be credited, each with its code.
pub(crate) fn poison() -> Vec<(String, &'static str)> {
    vec![
        ("not JSON".into(), "malformed_json"),
        (format!("\"{}\"", "x".repeat(BYTES_MAX)), "too_large"),
        (
            message("v", "alice").replace("\"v\":1", "\"v\":9"),
            "schema_unknown",
        ),
        (message("u", "nobody"), "unknown_user"),
        (
            message("k", "alice").replace("watched", "slept"),
            "unknown_kind",
        ),
        (
            message("a", "alice").replace(":5", ":-5"),
            "amount_not_positive",
        ),
    ]
}
