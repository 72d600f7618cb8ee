//! What a network can do to bytes between two sides that are both alive.

use serde::{Deserialize, Serialize};

/// How it is on the way. "Up" is from the side that connected, "down" is the answers' way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weather {
    /// Bytes pass at once.
    #[default]
    Clear,
    /// Every piece takes so many milliseconds longer.
    Slow(u64),
    /// A few bytes at a time.
    Trickle,
    /// Nothing passes either way; what was on its way arrives late, after it cleared up.
    HeldBoth,
    /// Questions do not arrive before it clears up; answers do.
    HeldUp,
    /// Questions arrive; their answers do not before it clears up.
    HeldDown,
    /// Everything is swallowed both ways and acknowledged; the connection never works again.
    Hole,
    /// Questions are swallowed; the connection never works again.
    HoleUp,
    /// Answers are swallowed; the connection never works again.
    HoleDown,
    /// Connections are reset, and so is every new one.
    Reset,
    /// The asking side is told that no more answers come, while its questions still arrive.
    HalfClosed,
}

impl Weather {
    /// Every kind that is not clear.
    pub const BAD: [Weather; 10] = [
        Weather::Slow(180),
        Weather::Trickle,
        Weather::HeldBoth,
        Weather::HeldUp,
        Weather::HeldDown,
        Weather::Hole,
        Weather::HoleUp,
        Weather::HoleDown,
        Weather::Reset,
        Weather::HalfClosed,
    ];

    /// What happens to a piece that goes that way.
    pub(crate) fn piece(self, way: Way) -> Piece {
        match (self, way) {
            (Weather::Clear, _)
            | (Weather::HeldUp | Weather::HoleUp, Way::Down)
            | (Weather::HeldDown | Weather::HoleDown | Weather::HalfClosed, Way::Up) => {
                Piece::Passes
            }
            (Weather::Slow(ms), _) => Piece::Late(ms),
            (Weather::Trickle, _) => Piece::Crumbles,
            (Weather::HeldBoth, _)
            | (Weather::HeldUp, Way::Up)
            | (Weather::HeldDown, Way::Down) => Piece::Waits,
            (Weather::Hole, _)
            | (Weather::HoleUp, Way::Up)
            | (Weather::HoleDown | Weather::HalfClosed, Way::Down) => Piece::Lost,
            (Weather::Reset, _) => Piece::Breaks,
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the side that connected.
    Up,
    /// Back to it.
    Down,
}

/// What happens to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// It passes.
    Passes,
    /// It passes so many milliseconds later.
    Late(u64),
    /// It passes a few bytes at a time.
    Crumbles,
    /// It waits until the weather changes.
    Waits,
    /// It is swallowed.
    Lost,
    /// The connection is reset.
    Breaks,
}
