//! Runs an optimizer: a task for each model, the HTTP server, the saving of its state. Only this file reads the clock.

use crate::config::Config;
use crate::service::{Clock, Model, Optimizer, locked, until_next};
use crate::{http, kubernetes, state};
use anyhow::Context;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The state is saved this often; a crash loses at most so much of what was learnt.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The state file.
    pub state: Option<PathBuf>,
    /// A cluster whose Deployments and profiles are watched.
    pub kubernetes: Option<kube::Config>,
}

/// Runs until `stop`. Fails where the address is taken, or where what is asked cannot be.
pub async fn run(config: Config, options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let clock: Clock =
        Arc::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64()));
    let optimizer = Optimizer::new(&config, clock)?;
    if let Some(path) = &options.state {
        restore(&optimizer, path)?;
    }
    let address = options.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("{address}: cannot listen"))?;
    tracing::info!(address = %listener.local_addr()?, models = config.models.len(), "the GPU optimizer listens");
    let serving = tokio::spawn(http::serve(listener, Arc::clone(&optimizer), stop.clone()));
    let watching = options.kubernetes.map(|cluster| {
        *locked(&optimizer.cluster) = Some(crate::service::ClusterState::default());
        AbortOnDropHandle::new(tokio::spawn(kubernetes::watch(cluster, Arc::clone(&optimizer))))
    });
    let turning = AbortOnDropHandle::new(tokio::spawn(turn_all(Arc::clone(&optimizer), stop.clone())));
    let mut saved = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SAVE_EVERY) => save(&optimizer, options.state.as_ref(), &mut saved).await,
        }
    }
    tracing::info!("the GPU optimizer ends");
    drop(watching);
    let _ = turning.await;
    save(&optimizer, options.state.as_ref(), &mut saved).await;
    let _ = serving.await;
    Ok(())
}

fn restore(optimizer: &Optimizer, path: &PathBuf) -> anyhow::Result<()> {
    match state::read(path) {
        Ok(None) => {}
        Ok(Some(models)) => {
            tracing::info!(models = models.len(), "went on from {}", path.display());
            optimizer.remember(models);
        }
        // A state that cannot be read must not keep the service from starting: it holds until it knows more.
        Err(error) => {
            let aside = state::aside(path);
            tracing::warn!("{error:#}; it is moved to {}, and the optimizer begins anew", aside.display());
            std::fs::rename(path, &aside).with_context(|| format!("{}: cannot be moved", path.display()))?;
        }
    }
    Ok(())
}

/// Saves what is to survive; trouble is told once, and shown until it is over.
async fn save(optimizer: &Arc<Optimizer>, path: Option<&PathBuf>, trouble: &mut String) {
    let Some(path) = path.cloned() else { return };
    let models = optimizer.memories().await;
    let written = tokio::task::spawn_blocking(move || state::write(&path, &models)).await;
    let error = match written {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("the saving of the state panicked".to_owned()),
    };
    if let Some(error) = error.as_ref().filter(|error| *error != trouble) {
        tracing::error!("{error}");
    }
    *trouble = error.clone().unwrap_or_default();
    *locked(&optimizer.state_trouble) = error;
}

/// Keeps a task for each model.
async fn turn_all(optimizer: Arc<Optimizer>, stop: CancellationToken) {
    let mut tasks: BTreeMap<String, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let models = optimizer.models();
        tasks.retain(|name, task| !task.is_finished() && models.iter().any(|model| model.name == *name));
        for model in models {
            tasks.entry(model.name.clone()).or_insert_with(|| {
                AbortOnDropHandle::new(tokio::spawn(turn_one(Arc::clone(&optimizer), model, stop.clone())))
            });
        }
        tokio::select! {
            () = optimizer.changed.notified() => {}
            () = stop.cancelled() => break,
        }
    }
    for task in tasks.into_values() {
        let _ = task.await;
    }
}

/// Turns of one model: at once, then at each tick and whenever something was said.
async fn turn_one(optimizer: Arc<Optimizer>, model: Arc<Model>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (now, began) = (optimizer.now(), tokio::time::Instant::now());
        tokio::select! {
            () = optimizer.turn(&model.name, now) => model.took(began.elapsed()),
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = wait(&optimizer, &model) => {}
            () = model.wake.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Between two looks at a trace that several gateways write over.
const GLANCE: Duration = Duration::from_millis(200);

/// Waits for the next turn; between the tick and it, looks at what gateways write.
async fn wait(optimizer: &Optimizer, model: &Model) {
    let mut left = until_next(&optimizer.settings, optimizer.now());
    let delay = Duration::from_secs_f64(optimizer.settings.delay_seconds);
    tokio::time::sleep(left.saturating_sub(delay)).await;
    left = left.min(delay);
    let end = tokio::time::Instant::now() + left;
    while tokio::time::Instant::now() + GLANCE < end {
        tokio::time::sleep(GLANCE).await;
        optimizer.glance(&model.name, optimizer.now()).await;
    }
    tokio::time::sleep_until(end).await;
}
