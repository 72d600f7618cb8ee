//! What WeChat's codes of OAuth mean for us: one table, by what was asked.
//!
//! A code that is not listed concludes nothing: the link stays as it is and a person looks.

use lingqian_io::rail::Remedy;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whose a page's code is.
    Exchange,
    /// Whose a mini program's code is.
    Session,
    /// For fresh tokens.
    Refresh,
    /// Something by an access token.
    Use,
}

/// What is left to do after a code.
#[must_use]
pub fn remedy(asked: Asked, errcode: i64) -> Remedy {
    match errcode {
        -1 => Remedy::Again,
        45_011 => Remedy::Slower,
        45_009 => Remedy::Tomorrow,
        // Of an access token: it is wrong, not the newest, or over. Where the secret goes along,
        // the first one says that the secret is wrong.
        40_001 if asked == Asked::Use || asked == Asked::Refresh => Remedy::Renew,
        40_014 | 42_001 => Remedy::Renew,
        // The openid, the code or the refresh token is wrong, used or over, or the user changed
        // the password, or never granted this.
        40_003 | 40_029 | 40_030 | 40_163 | 42_002 | 42_003 | 42_007 | 50_001 => Remedy::Restart,
        43_004 | 50_005 => Remedy::Follow,
        40_226 | 43_019 | 50_002 => Remedy::Blocked,
        // Secret, app, address, scope or interface; a question of ours that is not whole; and
        // what the account's manager must confirm.
        40_001 | 40_002 | 40_013 | 40_125 | 40_164 | 47_001 | 48_001 | 48_004 => Remedy::Configure,
        41_001..=41_004 | 41_008 | 41_009 => Remedy::Configure,
        89_501 | 89_503 | 89_506 | 89_507 => Remedy::Configure,
        _ => Remedy::Unheard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_leaves_one_thing_to_do() {
        use Asked::{Exchange, Refresh, Session, Use};
        let everywhere = [
            (-1, Remedy::Again),
            (45_011, Remedy::Slower),
            (45_009, Remedy::Tomorrow),
            (40_002, Remedy::Configure),
            (40_003, Remedy::Restart),
            (40_013, Remedy::Configure),
            (40_014, Remedy::Renew),
            (40_029, Remedy::Restart),
            (40_030, Remedy::Restart),
            (40_125, Remedy::Configure),
            (40_163, Remedy::Restart),
            (40_164, Remedy::Configure),
            (40_226, Remedy::Blocked),
            (41_001, Remedy::Configure),
            (41_002, Remedy::Configure),
            (41_003, Remedy::Configure),
            (41_004, Remedy::Configure),
            (41_008, Remedy::Configure),
            (41_009, Remedy::Configure),
            (42_001, Remedy::Renew),
            (42_002, Remedy::Restart),
            (42_003, Remedy::Restart),
            (42_007, Remedy::Restart),
            (43_004, Remedy::Follow),
            (43_019, Remedy::Blocked),
            (47_001, Remedy::Configure),
            (48_001, Remedy::Configure),
            (48_004, Remedy::Configure),
            (50_001, Remedy::Restart),
            (50_002, Remedy::Blocked),
            (50_005, Remedy::Follow),
            (89_501, Remedy::Configure),
            (89_503, Remedy::Configure),
            (89_506, Remedy::Configure),
            (89_507, Remedy::Configure),
            (41_005, Remedy::Unheard),
            (99_999, Remedy::Unheard),
        ];
        for asked in [Exchange, Session, Refresh, Use] {
            for (errcode, expected) in everywhere {
                assert_eq!(remedy(asked, errcode), expected, "{asked:?} {errcode}");
            }
        }
        for asked in [Exchange, Session] {
            assert_eq!(remedy(asked, 40_001), Remedy::Configure, "a wrong secret");
        }
        for asked in [Refresh, Use] {
            assert_eq!(remedy(asked, 40_001), Remedy::Renew, "an old token");
        }
    }
}
