//! `plan`: one GPU-mix problem.

use crate::output;
use anyhow::Context;
use planner::{Problem, Profile};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The problem is JSON: what GPU types cost, how many there may be, and how many requests a second of each size one replica of a
type sustains within the SLO. The answer is the cheapest replicas and who serves what, proven, or with a bound that says how far
off it can be.

  {\"gpus\": {\"A10G\": {\"cost\": 1.01, \"max\": 8, \"current\": 2}, \"A100\": {\"cost\": 3.67}},
   \"load\": [{\"input\": 128, \"output\": 64, \"rate\": 9, \"capacity\": {\"A10G\": 2, \"A100\": 20}}],
   \"split\": \"fractional\", \"changeCost\": 0, \"deadlineSeconds\": 10}

\"split\": {\"slices\": 4} deals each size out in equal slices, each wholly on one type. \"budget\" limits the cost of all; a size may have a
\"priority\"; \"nodeLimit\" ends the search at the same point on every machine.

Examples:
  aibrix-autoscaler plan problem.json
  aibrix-autoscaler plan load.json --profile a100.json,a40.json
  jq .problem day.json | aibrix-autoscaler plan -"
)]
pub(crate) struct PlanArgs {
    /// The problem; - reads standard input
    file: PathBuf,
    /// Profiles as AIBrix writes them: they name types with their costs, and what a replica carries of sizes with input and
    /// output tokens; what the problem says itself goes before
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    profile: Vec<PathBuf>,
    /// Output is JSON in any case; accepted for symmetry with the other commands
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let name = super::name_of(&args.file);
    let mut problem = Problem::from_json(&super::read_text(&args.file)?).with_context(|| name.clone())?;
    let read = |path: &PathBuf| Profile::from_json(&super::read_text(path)?).with_context(|| super::name_of(path));
    problem.apply(&args.profile.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?);
    let answer = planner::solve(&problem).with_context(|| name)?;
    output::print(&format!("{}\n", serde_json::to_string(&answer)?))?;
    Ok(ExitCode::SUCCESS)
}
