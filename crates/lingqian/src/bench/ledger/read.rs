//! How long it takes to look: statements and balances of users as busy as the load makes them.

use std::time::Instant;

use lingqian_io::Clock as _;
use lingqian_io::store::Browse;

use crate::bench::figures::Latencies;
use crate::bench::load::{Load, user_id};
use crate::bench::sheet::Sheet;
use crate::world::RealClock;

/// Lines of a statement.
const LINES: u32 = 20;

/// Reads so many balances and statements, one after the other, of users of `credited` events.
///
/// # Errors
/// When the store fails or does not know a user.
pub(crate) async fn read<B: Browse>(
    sheet: &mut Sheet,
    store: &B,
    load: &Load,
    (count, credited): (u32, u64),
) -> anyhow::Result<()> {
    let day = RealClock::default().business().business_date();
    let mut rng = fastrand::Rng::with_seed(u64::from(count));
    let (mut balances, mut statements) = (Latencies::default(), Latencies::default());
    let mut lines = 0;
    for _ in 0..count {
        let name = user_id(load.event(rng.u64(0..credited.max(1))).user);
        let began = Instant::now();
        let wallet = store.user(&name, day).await?;
        balances.add(began.elapsed());
        let wallet = wallet.ok_or_else(|| anyhow::anyhow!("{name} is not in the books"))?;
        let began = Instant::now();
        let statement = store.statement(wallet.user.no, None, LINES).await?;
        statements.add(began.elapsed());
        lines += statement.len();
    }
    sheet
        .section("read_balance")
        .put("count", count)
        .put_all(balances.shown());
    sheet
        .section("read_statement")
        .put("count", count)
        .put("lines_each", lines as f64 / f64::from(count.max(1)))
        .put_all(statements.shown());
    Ok(())
}
