//! The OAuth dance: a single-use state goes out with the user and must come back with a code.

use lingqian_core::command::Command;
use lingqian_core::id::{AppId, UserId};
use lingqian_core::link::{LINK_STATE_LIFE_MS, StateDigest};
use lingqian_core::time::Timestamp;
use lingqian_core::{Outcome, Rejection};
use lingqian_io::rail::IdentityFault;
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

/// Hands out the page where the user grants the authorization.
///
/// # Errors
/// A fault; or, inside, why the rules refuse.
pub async fn start<P: Ports>(
    ports: &P,
    desk: &Desk,
    (user, app): (UserId, Option<AppId>),
    redirect_uri: &str,
) -> Result<Result<Started, Rejection>, Fault> {
    let state = format!("{:032x}", ports.dice().roll());
    let command = Command::StartLink {
        user,
        app,
        state: digest(&state),
    };
    let app = match desk.submit(command).await? {
        Ok(Outcome::LinkStarted { app }) => app,
        Ok(_) => return Err(Fault::Broken("a link that was begun names no app".into())),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let authorize_url = ports.identity().authorize_url(&app, redirect_uri, &state);
    let expires_at = ports.clock().business().after_ms(LINK_STATE_LIFE_MS);
    Ok(Ok(Started {
        authorize_url,
        expires_at,
    }))
}

/// The user came back. The state is used up first, so a code that arrives twice, or somebody
/// else's, finds nothing to finish.
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
    let Outcome::StateRedeemed { user, app } = redeemed else {
        return Err(Fault::Broken("a redeemed state names no user".into()).into());
    };
    let identity = ports.identity().redeem(&app, code).await?;
    desk.submit(Command::CompleteLink { state, identity })
        .await??;
    Ok(user)
}

fn digest(state: &str) -> StateDigest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, state.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    StateDigest(bytes)
}
