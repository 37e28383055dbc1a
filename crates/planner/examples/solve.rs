//! A problem on standard input, the answer on standard output: what `plan -` does, for benchmarks that build this crate alone.

use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let answer = planner::solve(&planner::Problem::from_json(&text)?)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&answer)?)?;
    Ok(())
}
