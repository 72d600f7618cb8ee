//! What finance people look at: bills, breaks, dead letters, the books in a few numbers.

use lingqian_core::Command;
use lingqian_core::id::{MchId, MerchantNo};
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{Bill, BillLine, Direction};
use lingqian_core::transfer::Finding;
use serde_json::{Value, json};

use crate::world::{NOON, World, event_of};

fn mchid() -> MchId {
    MchId::parse("1900000109").expect("an id")
}

async fn reconciled(world: &World) {
    let date = NOON.business_date();
    let line = BillLine {
        flow_no: "flow-1".into(),
        booked_at: NOON,
        business_no: "wx-1".into(),
        voucher: "not-ours".into(),
        direction: Direction::Out,
        amount: Fen(30),
        balance: Fen(970),
        words: "转账".into(),
    };
    world
        .submit(Command::RecordBillLine {
            mchid: mchid(),
            date,
            line,
        })
        .await;
    let bill = Bill {
        merchant: MerchantNo(1),
        date,
        sha1: "79bb0f45fc4c42234a918000b2668d689e2bde04".into(),
        lines: 1,
        out: Fen(30),
        came_in: Fen::ZERO,
        opening: Fen(1_000),
        closing: Fen(970),
        fetched_at: NOON,
    };
    world
        .submit(Command::CloseBill {
            mchid: mchid(),
            bill,
        })
        .await;
}

#[tokio::test]
async fn a_closed_bill_and_its_break_are_shown() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/bills").await.json(), json!({ "data": [] }));
    assert_eq!(world.get("/v1/breaks").await.json(), json!({ "data": [] }));
    reconciled(&world).await;
    let bills = json!({ "data": [{
        "business_date": "2026-03-02", "lines": 1, "out_fen": 30, "in_fen": 0,
        "opening_fen": 1_000, "closing_fen": 970,
        "sha1": "79bb0f45fc4c42234a918000b2668d689e2bde04", "fetched_at": "2026-03-02T04:00:00Z",
    }] });
    assert_eq!(world.get("/v1/bills").await.json(), bills);
    let breaks = world.get("/v1/breaks").await.json();
    let found = &breaks["data"][0];
    assert_eq!(
        (&found["subject"], &found["kind"]),
        (&json!("1900000109:flow-1"), &json!("unknown_line"))
    );
    assert_eq!(
        (&found["business_date"], &found["closed_at"]),
        (&json!("2026-03-02"), &Value::Null)
    );
    assert_eq!(found["difference_fen"], 30);
}

#[tokio::test]
async fn the_summary_adds_up() {
    let world = World::new().await;
    world.linked("u1").await;
    world.user("u2").await;
    world.payout("u1", "r1", 150).await;
    world.pay(Finding::Paid).await;
    world.payout("u1", "r2", 50).await;
    world.post("/v1/events", &event_of("ghost", "e1", 1)).await;
    reconciled(&world).await;
    let expected = json!({
        "users": 2, "linked_users": 1, "earnings": 1, "earned_micros": "10000000",
        "users_available_micros": "8000000", "users_held_micros": "500000",
        "users_owe_micros": "0",
        "payouts": [
            { "state": "paid", "count": 1, "amount_fen": 150 },
            { "state": "requested", "count": 1, "amount_fen": 50 },
        ],
        "accounts": [
            { "account": "funding:1", "balance_micros": -10_000_000 },
            { "account": "wechat:clearing:1", "balance_micros": 1_500_000 },
            { "account": "wechat:float:1", "balance_micros": 300_000 },
            { "account": "suspense", "balance_micros": -300_000 },
        ],
        "open_breaks": 1, "dead_letters": 1,
    });
    assert_eq!(world.get("/v1/summary").await.json(), expected);
}
