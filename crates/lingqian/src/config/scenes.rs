//! WeChat's scenes: what each wants reported, and which income it is for.

use anyhow::ensure;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::PERCEPTION;

use super::{Config, Merchant, Mode};

/// The longest report, in characters.
const CONTENT_MAX: usize = 32;

/// The longest words by which the user is told what the money is, in characters.
const PERCEPTION_MAX: usize = 10;

/// A scene of transfers: its number, what is reported, each once and nothing else, the tax
/// classes that it fits, none where that depends on the merchant, and by which words the user may
/// be told what the money is, none where they are not known.
struct Scene(
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const SCENES: [Scene; 8] = [
    Scene(
        "1000",
        &["活动名称", "奖励说明"],
        &["incidental"],
        &["活动奖励", "现金奖励"],
    ),
    Scene("1002", &["补贴类型"], &[], &["行政补贴", "行政奖励"]),
    Scene(
        "1004",
        &["保险产品备案编号", "保险名称", "保险操作单号"],
        &[],
        &["保险理赔款"],
    ),
    Scene(
        "1005",
        &["岗位类型", "报酬说明"],
        &["labour", "commission"],
        &["劳务报酬", "报销款", "企业补贴", "开工利是"],
    ),
    Scene("1009", &["采购商品名称"], &["business"], &["货款"]),
    Scene("1010", &["回收商品名称"], &["business"], &["二手回收货款"]),
    Scene("1011", &["赔付原因"], &[], &["退款", "商家赔付"]),
    Scene("1013", &["公益活动名称", "公益活动备案编号"], &[], &[]),
];

fn known(id: &str) -> Option<&'static Scene> {
    SCENES.iter().find(|scene| scene.0 == id)
}

impl Merchant {
    /// Whether its reports are those of its scene, where its payouts name one.
    pub(super) fn check_scene(&self) -> anyhow::Result<()> {
        let named = matches!(self.rail.first(), RailKind::Transfer | RailKind::Authorized);
        self.check_perception()?;
        let Some(Scene(id, reports, ..)) = known(&self.scene).filter(|_| named) else {
            return Ok(());
        };
        let given: Vec<&str> = self
            .scene_report
            .iter()
            .map(|(kind, _)| kind.as_str())
            .collect();
        ensure!(
            given.len() == reports.len() && reports.iter().all(|kind| given.contains(kind)),
            "scene_report_wrong: scene {id} wants {reports:?} reported, each once, and scene_report has \
             {given:?}"
        );
        for (kind, content) in &self.scene_report {
            ensure!(
                (1..=CONTENT_MAX).contains(&content.chars().count()),
                "scene_report_wrong: {kind} must have 1 to {CONTENT_MAX} characters"
            );
        }
        Ok(())
    }

    /// Whether the user may be told that by these words under its scene.
    fn check_perception(&self) -> anyhow::Result<()> {
        let words = self.user_recv_perception.as_str();
        let of_scene = known(&self.scene).map_or(&[][..], |scene| scene.3);
        let fits = of_scene.is_empty() || of_scene.contains(&words);
        ensure!(
            words.is_empty() || (fits && words.chars().count() <= PERCEPTION_MAX),
            "user_recv_perception_wrong: scene {} takes {of_scene:?} or nothing as user_recv_perception, of at \
             most {PERCEPTION_MAX} characters, and not {words:?}",
            self.scene
        );
        Ok(())
    }

    /// What its orders report: what the scene wants, and by which words the user is told, where the
    /// scene's own are not to be shown.
    pub(crate) fn reports(&self) -> Vec<(String, String)> {
        let words = Some(&self.user_recv_perception).filter(|words| !words.is_empty());
        let words = words.map(|words| (PERCEPTION.to_owned(), words.clone()));
        self.scene_report.iter().cloned().chain(words).collect()
    }

    /// Whether income of a tax class may be paid under its scene.
    fn fits(&self, class: &str) -> bool {
        if !self.tax_classes.is_empty() {
            return self.tax_classes.iter().any(|one| one == class);
        }
        known(&self.scene).is_none_or(|scene| scene.2.is_empty() || scene.2.contains(&class))
    }
}

impl Config {
    /// With real money each kind of earning must be one that a merchant's scene is for: WeChat and
    /// the tax office are told the same.
    pub(super) fn check_classes(&self) -> anyhow::Result<()> {
        if self.wechat.mode != Mode::Live {
            return Ok(());
        }
        let merchants = self.listed_merchants();
        let texts: Vec<Merchant> = merchants
            .iter()
            .map(|one| one.texts(&self.merchant))
            .collect();
        for kind in &self.kinds {
            let class = &kind.tax_class;
            ensure!(
                texts.iter().any(|one| one.fits(class)),
                "tax_scene_mismatch: the kind {} is {class}, and no merchant's scene is for that; name \
                 another scene, or say tax_classes in [merchant] or its [[merchants]] once it is agreed \
                 that the scene covers it (1000 is for incidental, 1005 for labour and commission)",
                kind.code
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| format!("{error:#}"))?;
        Ok(config)
    }

    const LIVE: &str = "[wechat]\nmode = \"live\"\n";
    const COMMISSION: &str = "scene = \"1005\"\n\
                              scene_report = [[\"报酬说明\", \"x\"], [\"岗位类型\", \"y\"]]\n";

    fn kind(class: &str) -> String {
        format!("[[kinds]]\nno = 1\ncode = \"k\"\namount_max_micros = 1\ntax_class = \"{class}\"\n")
    }

    #[test]
    fn a_scene_wants_its_own_reports_each_once() {
        assert!(read(&format!("[merchant]\n{COMMISSION}")).is_ok());
        for (text, word) in [
            ("scene = \"1005\"", "scene 1005 wants"),
            ("scene_report = [[\"活动名称\", \"x\"]]", "scene 1000 wants"),
            (
                "scene_report = [[\"活动名称\", \"x\"], [\"活动名称\", \"y\"]]",
                "scene 1000 wants",
            ),
            (
                "scene_report = [[\"活动名称\", \"\"], [\"奖励说明\", \"y\"]]",
                "1 to 32 characters",
            ),
        ] {
            let refused = read(&format!("[merchant]\n{text}\n")).expect_err("it is refused");
            assert!(refused.contains("scene_report_wrong"), "{refused}");
            assert!(refused.contains(word), "{refused}");
        }
        let long = "长".repeat(33);
        let text = format!(
            "[merchant]\nscene_report = [[\"活动名称\", \"{long}\"], [\"奖励说明\", \"y\"]]"
        );
        assert!(read(&text).is_err());
        // What is not known here is WeChat's to judge, and other products report nothing.
        assert!(read("[merchant]\nscene = \"1999\"\nscene_report = []").is_ok());
        assert!(read("[merchant]\nrail = \"batch\"\nscene_report = []").is_ok());
    }

    #[test]
    fn the_user_is_told_by_words_of_the_scene() {
        let told = read("[merchant]\nuser_recv_perception = \"现金奖励\"").expect("it is good");
        let reports = told.merchant.reports();
        assert_eq!(reports.len(), 3);
        assert_eq!(reports[2], (PERCEPTION.to_owned(), "现金奖励".to_owned()));
        assert_eq!(read("").expect("it is good").merchant.reports().len(), 2);
        let refused = read("[merchant]\nuser_recv_perception = \"劳务报酬\"").expect_err("refused");
        assert!(refused.contains("user_recv_perception_wrong"), "{refused}");
        assert!(refused.contains("活动奖励"), "{refused}");
    }

    #[test]
    fn with_real_money_a_kinds_tax_class_is_one_that_a_scene_is_for() {
        for (merchant, class, good) in [
            ("", "incidental", true),
            ("", "labour", false),
            (COMMISSION, "labour", true),
            (COMMISSION, "commission", true),
            (COMMISSION, "incidental", false),
            ("tax_classes = [\"labour\"]\n", "labour", true),
            ("tax_classes = [\"labour\"]\n", "incidental", false),
        ] {
            let text = format!("{LIVE}[merchant]\n{merchant}{}", kind(class));
            let told = read(&text);
            assert_eq!(told.is_ok(), good, "{text}: {told:?}");
            if let Err(words) = told {
                assert!(words.contains("tax_scene_mismatch"), "{words}");
            }
            let tried = text.replace("live", "sandbox");
            assert!(read(&tried).is_ok(), "a sandbox pays anything");
        }
        // One of several merchants is enough.
        let two = format!(
            "{LIVE}[[merchants]]\nno = 1\nmchid = \"1900000001\"\n[[merchants]]\nno = 2\n\
             mchid = \"1900000002\"\n{COMMISSION}{}",
            kind("labour")
        );
        assert!(read(&two).is_ok(), "{:?}", read(&two));
    }
}
