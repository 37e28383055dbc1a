//! `aibrix-autoscaler`: the one binary.

fn main() {}
