//! The command line. Every command's help has an example.

use crate::command;
use clap::{Parser, Subcommand};

/// Decides how many LLM replicas are needed, and makes it so.
#[derive(Debug, Parser)]
#[command(name = "aibrix-autoscaler", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Examples:
  aibrix-autoscaler up                        watch stand-in engines being scaled, with nothing to configure
  aibrix-autoscaler up world.yaml             run the replicas of a manifest on this machine
  aibrix-autoscaler compare                   policies side by side on a generated load, in virtual time
  aibrix-autoscaler check autoscaler.yaml     validate manifests and explain old annotations
  aibrix-autoscaler decide recording.json     what would be decided, and why")]
pub(crate) struct Args {
    /// Log more (-v info, -vv debug, -vvv trace); RUST_LOG overrides it
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the local world: replicas as processes behind a gateway, scaled by their own metrics
    Up(command::up::UpArgs),
    /// Scale PodAutoscalers of a Kubernetes cluster
    Controller(command::controller::ControllerArgs),
    /// Run one policy on one trace, in virtual time
    Simulate(Box<command::simulate::SimulateArgs>),
    /// Compare policies on traces, in virtual time, against an oracle
    Compare(Box<command::compare::CompareArgs>),
    /// Find the cheapest mix of GPU types that carries a load
    Plan(command::plan::PlanArgs),
    /// Serve the cheapest mix of GPU types for the load as it is, in AIBrix's wire format
    Optimizer(Box<command::optimizer::OptimizerArgs>),
    /// Feed recorded or hand-written observations to the core and print its decisions
    Decide(command::decide::DecideArgs),
    /// Run a stand-in engine: OpenAI API and vLLM metrics, paced by a model of a real engine
    Engine(command::engine::EngineArgs),
    /// Drive a trace or a synthetic load at an OpenAI endpoint, open loop
    Load(command::load::LoadArgs),
    /// Measure what one replica carries of each size of request, and write its GPU profile
    Profile(Box<command::profile::ProfileArgs>),
    /// Validate manifests, and explain what becomes of old annotations
    Check(command::check::CheckArgs),
    /// Print the PodAutoscaler CRD
    #[command(after_help = "Example:\n  aibrix-autoscaler crd | kubectl apply --server-side -f -")]
    Crd,
    /// Watch a running autoscaler
    Top(command::top::TopArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  aibrix-autoscaler completions bash > /etc/bash_completion.d/aibrix-autoscaler")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
