//! The OAuth dance: a single-use state goes out with the user and must come back with a code. A
//! mini program has a code without a page.

use lingqian_core::command::Command;
use lingqian_core::id::{AppId, UserId};
use lingqian_core::link::{LINK_STATE_LIFE_MS, LinkCommand, Page, StateDigest};
use lingqian_core::time::Timestamp;
use lingqian_core::{Outcome, Rejection};
use lingqian_io::rail::{AppKind, IdentityFault, LinkScope};
use lingqian_io::{Clock, Dice, Fault, IdentityProvider, Ports};

use crate::Desk;

/// A link that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Where to send the user.
    pub authorize_url: String,
    /// After this moment it must be started again.
    pub expires_at: Timestamp,
}

/// Why a wallet was not linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The rules say no.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// WeChat did not name anybody.
    #[error(transparent)]
    Identity(#[from] IdentityFault),
    /// The world failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A link that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose wallet.
    pub user: UserId,
    /// With which app; the first that fits where none is named.
    pub app: Option<AppId>,
    /// What the user is asked for.
    pub scope: LinkScope,
}

impl Wanted {
    /// A link of a user with the first app that a merchant pays under, without a word to them.
    #[must_use]
    pub fn of(user: UserId) -> Wanted {
        Wanted {
            user,
            app: None,
            scope: LinkScope::Base,
        }
    }
}

/// Which page a wish leads to, and under which app where that hangs on what is configured.
fn page(apps: &[(AppId, AppKind)], wanted: &Wanted) -> Result<(Option<AppId>, Page), Rejection> {
    let no = |why| Err(Rejection::ScopeNotOfApp { why });
    let of = |app: &AppId| apps.iter().find(|(known, _)| known == app);
    let kind = match &wanted.app {
        None => None,
        Some(app) => Some(of(app).ok_or(Rejection::AppNotConfigured)?.1),
    };
    match (wanted.scope, kind) {
        (_, Some(AppKind::MiniProgram)) => {
            no("a mini program has none; send the code that wx.login gave it")
        }
        (LinkScope::Login, Some(AppKind::OfficialAccount)) => {
            no("snsapi_login is for apps of websites")
        }
        (LinkScope::Base | LinkScope::Userinfo, Some(AppKind::Website)) => {
            no("an app of a website has snsapi_login only")
        }
        (LinkScope::Login, _) => {
            let mut sites = apps.iter().filter(|(_, kind)| *kind == AppKind::Website);
            let first = || sites.next().map(|(app, _)| app.clone());
            let app = wanted.app.clone().or_else(first);
            Ok((Some(app.ok_or(Rejection::AppNotConfigured)?), Page::Login))
        }
        (LinkScope::Base | LinkScope::Userinfo, _) => {
            let others = apps
                .iter()
                .filter(|(_, kind)| *kind != AppKind::OfficialAccount);
            let except = others.map(|(app, _)| app.clone()).collect();
            Ok((wanted.app.clone(), Page::Inside { except }))
        }
    }
}

/// Hands out the page where the user grants the authorization.
///
/// # Errors
/// A fault; or, inside, why the rules refuse.
pub async fn start<P: Ports>(
    ports: &P,
    desk: &Desk,
    wanted: Wanted,
    redirect_uri: &str,
) -> Result<Result<Started, Rejection>, Fault> {
    let (app, page) = match page(&ports.identity().apps(), &wanted) {
        Ok(found) => found,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let state = format!("{:032x}", ports.dice().roll());
    let command = Command::StartLink {
        user: wanted.user,
        app,
        page,
        state: digest(&state),
    };
    let app = match desk.submit(command).await? {
        Ok(Outcome::LinkStarted { app }) => app,
        Ok(_) => return Err(Fault::Broken("a link that was begun names no app".into())),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let identity = ports.identity();
    let authorize_url = identity.authorize_url(&app, redirect_uri, &state, wanted.scope);
    let expires_at = ports.clock().business().after_ms(LINK_STATE_LIFE_MS);
    Ok(Ok(Started {
        authorize_url,
        expires_at,
    }))
}

/// The user came back. The state is used up first, so a code that arrives twice, or somebody
/// else's, finds nothing to finish. Whoever dies between the exchange and the commit leaves a
/// state and a code that are used up and no link: the user begins again.
///
/// # Errors
/// See [`LinkFault`].
pub async fn finish<P: Ports>(
    ports: &P,
    desk: &Desk,
    state: &str,
    code: &str,
) -> Result<UserId, LinkFault> {
    let state = digest(state);
    let redeemed = desk.submit(Command::RedeemState { state }).await??;
    let (user, app) = match redeemed {
        Outcome::StateRedeemed { user, app } => (user, app),
        // WeChat opened the way back twice, and the first time it worked.
        Outcome::LinkedBefore { user } => return Ok(user),
        _ => return Err(Fault::Broken("a redeemed state names no user".into()).into()),
    };
    let identity = ports.identity().redeem(&app, code).await?;
    desk.submit(Command::CompleteLink { state, identity })
        .await??;
    Ok(user)
}

/// A mini program got a code, and the app's own server says whose wallet it is to be.
///
/// # Errors
/// See [`LinkFault`].
pub async fn by_code<P: Ports>(
    ports: &P,
    desk: &Desk,
    (user, app): (UserId, AppId),
    code: &str,
) -> Result<(), LinkFault> {
    let apps = ports.identity().apps();
    let kind = apps.into_iter().find(|(known, _)| *known == app);
    match kind {
        None => return Err(Rejection::AppNotConfigured.into()),
        Some((_, AppKind::MiniProgram)) => {}
        Some(_) => {
            let why = "only a mini program has codes without a page";
            return Err(Rejection::ScopeNotOfApp { why }.into());
        }
    }
    let identity = ports.identity().by_code(&app, code).await?;
    let command = LinkCommand::ByCode {
        user,
        app,
        identity,
    };
    desk.submit(Command::Link(Box::new(command))).await??;
    Ok(())
}

fn digest(state: &str) -> StateDigest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, state.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    StateDigest(bytes)
}
