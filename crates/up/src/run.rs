//! A whole run: start everything, turn until it is over, drain, and report.

use crate::clock::Clock;
use crate::lines::{Line, Lines};
use crate::load::{self, Load};
use crate::observe::Observer;
use crate::page;
use crate::routing;
use crate::setup::Setup;
use crate::table::Table;
use crate::tally::{Summary, Tally};
use crate::tasks;
use crate::view::{RequestsView, Shared};
use crate::world::World;
use anyhow::Context;
use autoscaler_core::Fleet;
use autoscaler_scrape::{ScrapeConfig, Scraper};
use gateway::{Gateway, GatewayConfig};
use local_world::Supervisor;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workload::score::Slo;

/// How to run.
pub struct Options {
    /// What to run.
    pub setup: Setup,
    /// Reads the manifest again, where it came from a file.
    pub reload: Option<Reload>,
    /// Trace seconds after which the run ends; none: when told, or when the load is over.
    pub length: Option<f64>,
    /// Trace seconds per second.
    pub speed: f64,
    /// What is sent at the gateway.
    pub loads: Vec<Load>,
    /// What counts as attained.
    pub slo: Slo,
    /// Where clients connect; wins over the manifest.
    pub gateway: Option<SocketAddr>,
    /// Where the page is; wins over the manifest.
    pub dashboard: Option<SocketAddr>,
    /// Where logs of replicas go.
    pub log_dir: Option<PathBuf>,
    /// JSON lines.
    pub lines: Lines,
    /// Whether a live table is drawn.
    pub table: bool,
    /// Told the addresses once both listen.
    pub announce: Box<dyn Fn(&Places) + Send>,
}

/// Where a run can be reached.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where clients connect.
    pub gateway: String,
    /// Where the page is.
    pub dashboard: String,
}

/// A manifest's file, and how to read it again.
pub struct Reload {
    /// The file; a change of it reloads.
    pub path: PathBuf,
    /// Reads it.
    pub read: Box<dyn Fn() -> anyhow::Result<Setup> + Send>,
}

/// The gateway's and the page's ports where nothing is said; a free one is taken where they are not.
const GATEWAY_PORT: u16 = 8080;
const DASHBOARD_PORT: u16 = 8090;
/// Finished requests that may wait to be counted.
const RECORDS: usize = 65_536;
/// How long a page's answer may take: engines answer late exactly when they are busy.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest time between two turns, whatever the speed.
const SHORTEST_TURN: Duration = Duration::from_millis(20);

/// Runs until `stop`, the end of the load, or the length. Every replica is drained and stopped before it returns.
pub async fn run(options: Options, stop: CancellationToken) -> anyhow::Result<Summary> {
    let gateway_address = options.gateway.or(options.setup.world.gateway);
    let (gateway_listener, gateway_at) = listen(gateway_address, GATEWAY_PORT).await.context("gateway")?;
    let dashboard_address = options.dashboard.or(options.setup.world.dashboard);
    let (page_listener, page_at) = listen(dashboard_address, DASHBOARD_PORT).await.context("dashboard")?;
    let config = local_world::Config {
        gpus: options.setup.world.gpus.clone(),
        log_dir: options.log_dir.clone(),
        speed: options.speed,
        guard_program: None,
    };
    let supervisor = Supervisor::new(config).await?;
    let clock = Clock::start(options.speed);
    let gateway = Gateway::new(gateway_config(&options, clock));
    let handle = gateway.handle();
    let view = Shared::default();
    let epoch = jiff::Timestamp::try_from(clock.epoch()).map_or_else(|_| String::new(), |at| at.to_string());
    view.write(|view| {
        (view.epoch, view.speed, view.gateway) = (epoch.clone(), options.speed, format!("http://{gateway_at}"));
    });
    let places = Places { gateway: format!("http://{gateway_at}"), dashboard: format!("http://{page_at}") };
    (options.announce)(&places);
    let Places { gateway: at, dashboard } = places;
    options.lines.write(&Line::Start { epoch, speed: options.speed, gateway: at, dashboard: Some(dashboard) });
    let tally = Arc::new(Mutex::new(Tally::new(clock, options.slo)?));

    // Subscribed before anything runs, so that no request and no event is missed.
    let background = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(tasks::count(handle.subscribe(RECORDS), Arc::clone(&tally)));
    tasks.spawn(tasks::narrate(supervisor.events(), options.lines.clone(), clock, background.clone()));
    tasks.spawn(routing::follow(supervisor.clone(), handle.clone(), background.clone()));
    let tail = {
        let supervisor = supervisor.clone();
        let lines = move |id: &str, count: usize| -> Option<Vec<String>> {
            let lines = supervisor.tail(id, count).ok()?;
            Some(lines.into_iter().map(|line| line.text.to_string()).collect())
        };
        Arc::new(lines) as page::Tail
    };
    tasks.spawn(page::serve(page_listener, page::router(view.clone(), tail), background.clone().cancelled_owned()));
    let gateway_stop = CancellationToken::new();
    let serving = tokio::spawn(gateway.serve(gateway_listener, gateway_stop.clone().cancelled_owned()));

    let scrape = ScrapeConfig { request_timeout: SCRAPE_TIMEOUT, ..ScrapeConfig::default() };
    let mut world = World {
        clock,
        fleet: Fleet::new(Vec::new(), Vec::new()),
        setup: options.setup.clone(),
        supervisor: supervisor.clone(),
        gateway: handle.clone(),
        observer: Observer::new(Scraper::new(scrape)),
        drains: TaskTracker::new(),
        view: view.clone(),
        lines: options.lines.clone(),
        changes: BTreeMap::new(),
    };
    let setup = options.setup.clone();
    let outcome = match world.apply(setup) {
        Ok(()) => turns(&mut world, &options, &tally, gateway_at, stop).await,
        Err(error) => Err(error),
    };

    // Everything ends in order, whatever ended the run: no new requests, the last ones answered, then the replicas.
    gateway_stop.cancel();
    let _ = serving.await;
    supervisor.shutdown(options.setup.longest_drain()).await;
    background.cancel();
    drop((handle, world.gateway));
    tasks.close();
    let _ = tokio::time::timeout(TASKS_TIMEOUT, tasks.wait()).await;
    outcome?;
    let mut summary = tally.lock().unwrap_or_else(PoisonError::into_inner).summary(clock.now(), world.changes);
    summary.decisions = view.read(|view| view.decisions.iter().cloned().collect());
    options.lines.write(&Line::Summary(summary.clone()));
    Ok(summary)
}

/// Tasks that count and serve pages have nothing left to wait for by then.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Turns until it is over.
async fn turns(
    world: &mut World,
    options: &Options,
    tally: &Arc<Mutex<Tally>>,
    gateway: SocketAddr,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let clock = world.clock;
    let scrape = clock.machine(world.setup.world.scrape_interval.as_secs_f64()).max(SHORTEST_TURN);
    let mut turn = tokio::time::interval(scrape);
    turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut wakeups = world.gateway.wakeups();
    let mut reloads = tasks::reloads(options.reload.as_ref().map(|reload| reload.path.clone()), stop.clone());
    let (load_ended, mut loads_over) = mpsc::channel::<anyhow::Result<()>>(1);
    let load_stop = stop.child_token();
    let mut load_task = None;
    let mut next_decision = 0.0;
    let mut table = if options.table { Table::on_terminal() } else { None };
    let mut result = Ok(());
    loop {
        let woken = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            over = loads_over.recv() => {
                result = over.unwrap_or(Ok(()));
                // A given length is the run's, and goes on after the load.
                if result.is_err() || options.length.is_none() { break }
                false
            }
            _ = reloads.recv() => { reload(world, options); false }
            _ = turn.tick() => false,
            changed = wakeups.changed() => changed.is_ok(),
        };
        let now = clock.now();
        // A held request does not wait for the tick.
        let decide = woken || now >= next_decision;
        if decide {
            next_decision = now + world.setup.world.tick_interval.as_secs_f64();
        }
        world.turn(decide).await;
        account(world, tally);
        if let Some(table) = &mut table {
            world.view.read(|view| table.draw(view));
        }
        if load_task.is_none() && !options.loads.is_empty() && started(world) {
            let sending = load::send_all(options.loads.clone(), gateway, options.speed, options.slo, load_stop.clone());
            let load_ended = load_ended.clone();
            load_task = Some(tokio::spawn(async move {
                let _ = load_ended.send(sending.await).await;
            }));
        }
        if options.length.is_some_and(|length| clock.now() >= length) {
            break;
        }
    }
    // No request is sent any more; those on their way are answered before anything is stopped.
    load_stop.cancel();
    if let Some(task) = load_task {
        let patience = clock.machine(options.setup.request_timeout().unwrap_or_default().as_secs_f64());
        let _ = tokio::time::timeout(patience, task).await;
    }
    world.drains.close();
    result
}

/// Whether every group has as many ready replicas as it began with: a load starts on a running world.
fn started(world: &World) -> bool {
    let statuses = world.supervisor.status();
    world.setup.groups.iter().all(|group| {
        let ready = statuses.iter().filter(|status| status.group == group.spec.name && routing::serves(status)).count();
        ready as u64 >= u64::from(group.replicas)
    })
}

fn reload(world: &mut World, options: &Options) {
    let Some(reload) = &options.reload else { return };
    let applied = (reload.read)().and_then(|setup| world.apply(setup));
    let at = world.clock.now();
    let message = match applied {
        Ok(()) => format!("{} was read again", reload.path.display()),
        Err(error) => {
            let message = format!("{} is not used, the one before goes on: {error:#}", reload.path.display());
            world.view.write(|view| view.problems = vec![message.clone()]);
            message
        }
    };
    tracing::warn!("{message}");
    world.lines.write(&Line::Warning { at, message });
}

/// Counts replicas, and shows the requests so far.
fn account(world: &World, tally: &Arc<Mutex<Tally>>) {
    let mut by_group: BTreeMap<String, u32> = BTreeMap::new();
    for status in world.supervisor.status().iter().filter(|status| !status.state.is_final()) {
        *by_group.entry(status.group.clone()).or_default() += 1;
    }
    let at = world.clock.now();
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.replicas(at, &by_group);
    let summary = tally.summary(at, BTreeMap::new());
    drop(tally);
    world.view.write(|view| {
        view.requests = RequestsView {
            requests: summary.requests,
            failed: summary.failed,
            aborted: summary.aborted,
            ttft_p50: summary.ttft_p50,
            ttft_p99: summary.ttft_p99,
            tpot_p50: summary.tpot_p50,
        };
    });
}

/// The gateway's spans are trace time in the manifest and machine time on the wire.
fn gateway_config(options: &Options, clock: Clock) -> GatewayConfig {
    let mut config = GatewayConfig::default();
    let scaled = |span: Duration| clock.machine(span.as_secs_f64());
    config.request_timeout = scaled(options.setup.request_timeout().unwrap_or(config.request_timeout));
    config.shutdown_timeout = scaled(config.request_timeout).max(scaled(config.shutdown_timeout));
    config
}

/// Listens at an address that was asked for, else at the usual port or, where that is taken, at a free one.
async fn listen(asked: Option<SocketAddr>, usual: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let bind = |address: SocketAddr| async move {
        TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened at"))
    };
    let listener = match asked {
        Some(address) => bind(address).await?,
        None => match bind(SocketAddr::from((Ipv4Addr::LOCALHOST, usual))).await {
            Ok(listener) => listener,
            Err(_) => bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?,
        },
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}
