//! How many calls WeChat takes in a second, of each merchant and each kind.

use std::collections::BTreeMap;

use crate::auth::Refused;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Create,
    Query,
    Batch,
    Cancel,
    Authorize,
    Bill,
}

impl Kind {
    fn of(method: &str, path: &str) -> Option<Kind> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let asks = method == "GET";
        if path.starts_with("/v3/transfer/batches") {
            Some(Kind::Batch)
        } else if path.starts_with("/v3/fund-app/mch-transfer/user-confirm-authorization") {
            Some(if asks { Kind::Query } else { Kind::Authorize })
        } else if path.starts_with("/v3/fund-app/mch-transfer/transfer-bills") {
            let create = if path.ends_with("/cancel") {
                Kind::Cancel
            } else {
                Kind::Create
            };
            Some(if asks { Kind::Query } else { create })
        } else {
            path.starts_with("/v3/bill/").then_some(Kind::Bill)
        }
    }

    /// So many calls in a second.
    fn most(self) -> u32 {
        match self {
            Kind::Create | Kind::Query => 100,
            Kind::Batch | Kind::Authorize => 50,
            Kind::Cancel => 20,
            Kind::Bill => 3,
        }
    }
}

/// What came in within the present second.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    second: i64,
    calls: BTreeMap<(String, Kind), u32>,
}

impl Throttle {
    /// Counts a call, or refuses it where there were too many.
    pub(crate) fn admits(
        &mut self,
        mchid: &str,
        (method, path): (&str, &str),
        now_s: i64,
    ) -> Result<(), Refused> {
        let Some(kind) = Kind::of(method, path) else {
            return Ok(());
        };
        if self.second != now_s {
            self.second = now_s;
            self.calls.clear();
        }
        let calls = self.calls.entry((mchid.to_owned(), kind)).or_default();
        if *calls >= kind.most() {
            let words = "频率超限，请稍后重试";
            return Err(Refused::new(429, "FREQUENCY_LIMITED", words));
        }
        *calls += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_merchant_has_so_many_calls_of_each_kind_in_a_second() {
        const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
        let mut throttle = Throttle::default();
        let mut taken = |mchid: &str, method: &str, path: &str, second| {
            let one = |_: &u32| throttle.admits(mchid, (method, path), second).is_ok();
            (0..200).filter(one).count()
        };
        assert_eq!(taken("1", "POST", BILLS, 7), 100);
        assert_eq!(taken("1", "GET", &format!("{BILLS}/out-bill-no/A"), 7), 100);
        assert_eq!(
            taken("1", "POST", &format!("{BILLS}/out-bill-no/A/cancel"), 7),
            20
        );
        assert_eq!(taken("2", "POST", BILLS, 7), 100);
        assert_eq!(taken("1", "POST", BILLS, 7), 0);
        assert_eq!(taken("1", "POST", BILLS, 8), 100);
        assert_eq!(
            taken("1", "GET", "/v3/transfer/batches/batch-id/1?x=y", 8),
            50
        );
        assert_eq!(taken("1", "GET", "/v3/bill/fundflowbill?bill_date=x", 8), 3);
        assert_eq!(taken("1", "GET", "/v3/certificates", 8), 200);
    }
}
