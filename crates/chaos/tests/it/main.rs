//! The harness itself: false histories are found, and the weather is what it says.

mod checker;
mod given;
mod weather;
