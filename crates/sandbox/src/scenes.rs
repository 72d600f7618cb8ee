//! Scenes of transfers: what each must report, and what users may read of it.

use crate::auth::Refused;

/// One scene.
#[derive(Debug)]
pub(crate) struct Scene {
    id: &'static str,
    /// What must be reported, each once and nothing else.
    pub(crate) reports: &'static [&'static str],
    /// What the user may be told that the money is for; whatever it is where WeChat says nothing.
    perceptions: &'static [&'static str],
}

const SCENES: [Scene; 8] = [
    of("1000", &["活动名称", "奖励说明"], &["活动奖励", "现金奖励"]),
    of("1002", &["补贴类型"], &["行政补贴", "行政奖励"]),
    of(
        "1004",
        &["保险产品备案编号", "保险名称", "保险操作单号"],
        &["保险理赔款"],
    ),
    of(
        "1005",
        &["岗位类型", "报酬说明"],
        &["劳务报酬", "报销款", "企业补贴", "开工利是"],
    ),
    of("1009", &["采购商品名称"], &["货款"]),
    of("1010", &["回收商品名称"], &["二手回收货款"]),
    of("1011", &["赔付原因"], &["退款", "商家赔付"]),
    of("1013", &["公益活动名称", "公益活动备案编号"], &[]),
];

const fn of(
    id: &'static str,
    reports: &'static [&'static str],
    perceptions: &'static [&'static str],
) -> Scene {
    Scene {
        id,
        reports,
        perceptions,
    }
}

/// The scene of a number.
pub(crate) fn scene(id: &str) -> Result<&'static Scene, Refused> {
    let found = SCENES.iter().find(|scene| scene.id == id);
    found.ok_or_else(|| Refused::invalid("商户未开通该转账场景"))
}

impl Scene {
    /// Whether the user may be told this.
    pub(crate) fn perceives(&self, words: Option<&str>) -> Result<(), Refused> {
        match words {
            None => Ok(()),
            Some(words) if self.perceptions.contains(&words) => Ok(()),
            Some(words) if self.perceptions.is_empty() && words.chars().count() <= 10 => Ok(()),
            Some(_) => Err(Refused::invalid("暂不支持展示当前传入的用户收款感知")),
        }
    }
}
