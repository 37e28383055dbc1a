//! A stand-in engine to try by hand:
//! `cargo run --example standin -- --port 8000 --engine l4-8b`, then
//! `curl -N localhost:8000/v1/completions -d '{"prompt": "hello there", "max_tokens": 20, "stream": true}'`.

use clap::Parser;
use std::io::Write as _;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    engine: standin::Args,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = standin::Config::try_from(Cli::parse().engine)?;
    let ready = |address| {
        let _ = writeln!(std::io::stdout(), "listening on http://{address}");
    };
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    standin::run(config, ready, interrupted).await?;
    Ok(())
}
