//! The lingqian executable.
fn main() {}
