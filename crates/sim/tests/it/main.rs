//! The pretend world itself: stories, seeds, points of death, and that it repeats itself.

mod crash;
mod seeds;
mod stories;
