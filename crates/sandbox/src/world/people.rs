//! The users of the app, and the codes and tokens that prove who they are.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// A WeChat user as one app sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) openid: String,
    pub(crate) unionid: String,
    /// The name on the identity card; without one, no name check can fail.
    pub(crate) real_name: Option<String>,
    pub(crate) frozen: bool,
    /// A virtual account behind the snapshot page; it can never be paid.
    pub(crate) snapshot: bool,
}

/// What an authorisation allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// The openid only.
    Base,
    /// The profile too.
    Userinfo,
}

impl Scope {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::Userinfo => "snsapi_userinfo",
        }
    }
}

/// A code of the OAuth page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) openid: String,
    pub(crate) scope: Scope,
    pub(crate) issued_ms: i64,
    pub(crate) used: bool,
}

/// An access token with its refresh token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) openid: String,
    pub(crate) scope: Scope,
    /// When the access token ends.
    pub(crate) access_ends_ms: i64,
    /// When the refresh token ends; counted from the first issue.
    pub(crate) refresh_ends_ms: i64,
}

/// All users, codes and tokens.
#[derive(Default)]
pub(crate) struct People {
    users: BTreeMap<String, User>,
    names: BTreeMap<(String, bool), String>,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Token>,
    refreshes: HashMap<String, String>,
}

impl People {
    /// The user of an openid.
    pub(crate) fn by_openid(&self, openid: &str) -> Option<&User> {
        self.users.get(openid)
    }

    /// The user of a name, real or snapshot.
    pub(crate) fn by_name(&self, name: &str, snapshot: bool) -> Option<&User> {
        self.users.get(self.names.get(&(name.to_owned(), snapshot))?)
    }

    /// Users by openid, after the one given.
    pub(crate) fn after(&self, openid: &str) -> impl Iterator<Item = &User> {
        let range = (std::ops::Bound::Excluded(openid.to_owned()), std::ops::Bound::Unbounded);
        self.users.range(range).map(|(_, user)| user)
    }

    /// A code, used or not.
    pub(crate) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    /// The token of an access token.
    pub(crate) fn token(&self, access: &str) -> Option<&Token> {
        self.tokens.get(access)
    }

    /// The token of a refresh token.
    pub(crate) fn refreshable(&self, refresh: &str) -> Option<&Token> {
        self.tokens.get(self.refreshes.get(refresh)?)
    }

    pub(super) fn put(&mut self, user: &User) {
        self.names.insert((user.name.clone(), user.snapshot), user.openid.clone());
        self.users.insert(user.openid.clone(), user.clone());
    }

    pub(super) fn issue(&mut self, code: &Code) {
        self.codes.insert(code.code.clone(), code.clone());
    }

    pub(super) fn exchange(&mut self, code: &str, token: &Token) {
        if let Some(code) = self.codes.get_mut(code) {
            code.used = true;
        }
        self.keep(token);
    }

    pub(super) fn refresh(&mut self, replaced: &str, token: &Token) {
        self.tokens.remove(replaced);
        self.keep(token);
    }

    fn keep(&mut self, token: &Token) {
        self.refreshes.insert(token.refresh.clone(), token.access.clone());
        self.tokens.insert(token.access.clone(), token.clone());
    }
}
