//! All ports of one running program, so that passes and routes take one argument.

use crate::{Browse, Clock, Dice, IdentityProvider, Rail, Sealer, Store};

/// One choice of every port. Cloning it is cheap and clones share everything.
pub trait Ports: Clone + Send + Sync + 'static {
    /// Where money and payouts live.
    type Store: Store + Browse;
    /// How money reaches a wallet.
    type Rail: Rail;
    /// Who says whose wallet it is.
    type Identity: IdentityProvider;
    /// What seals fields at rest.
    type Sealer: Sealer;
    /// What time it is.
    type Clock: Clock;
    /// Chance.
    type Dice: Dice;

    /// Where money and payouts live.
    fn store(&self) -> &Self::Store;
    /// How money reaches a wallet.
    fn rail(&self) -> &Self::Rail;
    /// Who says whose wallet it is.
    fn identity(&self) -> &Self::Identity;
    /// What seals fields at rest.
    fn sealer(&self) -> &Self::Sealer;
    /// What time it is.
    fn clock(&self) -> &Self::Clock;
    /// Chance.
    fn dice(&self) -> &Self::Dice;
}
