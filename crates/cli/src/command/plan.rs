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
\"priority\"; \"nodeLimit\" ends the search at the same point on every machine, whatever the time. A type may be \"spot\": \"spotReserve\"
is the share of every size that the other types must be able to carry alone. Types and sizes may have a \"model\", and types an
\"accelerator\" of which a replica takes \"gpusPerReplica\": \"quota\" says how many there are. docs/planner.md has all fields.

Examples:
  aibrix-autoscaler plan problem.json
  aibrix-autoscaler plan load.json --profile a100.json,a40.json
  aibrix-autoscaler plan load.json --profile profiles/ --explain
  jq .problem day.json | aibrix-autoscaler plan -"
)]
pub(crate) struct PlanArgs {
    /// The problem; - reads standard input
    file: PathBuf,
    /// Profiles as AIBrix writes them: they name types with their costs, and what a replica carries of sizes with input and
    /// output tokens; what the problem says itself goes before. A folder stands for its .json files
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    profile: Vec<PathBuf>,
    /// Says of each size why it goes where it goes, what one more request a second costs, and what would change that
    #[arg(long)]
    explain: bool,
    /// Output is JSON in any case; accepted for symmetry with the other commands
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let name = super::name_of(&args.file);
    let mut problem = Problem::from_json(&super::read_text(&args.file)?).with_context(|| name.clone())?;
    let mut profiles: Vec<Profile> = Vec::new();
    for path in &args.profile {
        profiles.extend(planner::read_profiles(path)?);
    }
    problem.apply(&profiles);
    let mut answer = planner::solve(&problem).with_context(|| name.clone())?;
    if args.explain {
        answer.reasons = Some(planner::explain(&problem, &answer).with_context(|| name)?);
    }
    output::print(&format!("{}\n", serde_json::to_string(&answer)?))?;
    Ok(ExitCode::SUCCESS)
}
