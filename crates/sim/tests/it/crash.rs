//! Every point of every flow, over the twin.

use lingqian_io::twin::MemoryStore;
use lingqian_sim::crash::enumerate;

#[test]
fn a_process_that_dies_at_any_point_of_any_flow_loses_nothing_and_pays_nothing_twice() {
    let stores = || {
        let store = MemoryStore::default();
        move || store.clone()
    };
    let tried = enumerate(stores, true);
    for flow in &tried {
        assert_eq!(flow.failure, None, "{}, {} points", flow.name, flow.points);
    }
    let points: u64 = tried.iter().map(|flow| flow.points).sum();
    println!("{points} points of {} flows", tried.len());
    assert!(points > 300, "only {points} points");
}
