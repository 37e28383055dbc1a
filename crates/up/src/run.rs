//! A whole run: start everything, turn until it is over, drain, and report.

use crate::account::Account;
use crate::advice::Advisors;
use crate::clock::Clock;
use crate::ending::{self, Running};
use crate::lines::{Line, Lines};
use crate::load::{self, Load};
use crate::observe::Observer;
use crate::page;
use crate::plans::Plans;
use crate::pulse::Pulse;
use crate::recording::Recording;
use crate::requests::{self, Writing};
use crate::roll::Rolls;
use crate::routing;
use crate::setup::Setup;
use crate::table::Table;
use crate::tally::{Summary, Tally};
use crate::tasks;
use crate::turns::{Over, turns};
use crate::view::Shared;
use crate::world::World;
use anyhow::Context;
use autoscaler_core::Fleet;
use autoscaler_runtime::record::{self, Recorder};
use autoscaler_scrape::{ScrapeConfig, Scraper};
use gateway::{Event, Gateway, GatewayConfig, GatewayHandle};
use local_world::Supervisor;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
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
    /// A file to record the run in.
    pub record: Option<PathBuf>,
    /// A file to append finished requests to, for the GPU optimizer.
    pub requests: Option<PathBuf>,
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
/// How long standard output or a terminal may take for the last lines; a reader that has stalled does not get them.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Runs until `stop`, the end of the load, or the length. Every replica is drained and stopped before it returns.
pub async fn run(options: Options, stop: CancellationToken) -> anyhow::Result<Summary> {
    load::check(&options.loads, &options.setup)?;
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
    let recorded_from = epoch.clone();
    options.lines.write(&Line::Start { epoch, speed: options.speed, gateway: at, dashboard: Some(dashboard) });
    let tally = Arc::new(Mutex::new(Tally::new(clock, options.slo)?));

    // Subscribed before anything runs, so that no request and no event is missed.
    let background = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(tasks::count(handle.subscribe(RECORDS), Arc::clone(&tally)));
    let ended = handle.subscribe(RECORDS);
    let recorded = options.record.is_some().then(|| handle.subscribe(RECORDS));
    let requests = begin_requests(&options, &handle, clock)?;
    tasks.spawn(tasks::narrate(supervisor.events(), options.lines.clone(), clock, background.clone()));
    tasks.spawn(routing::follow(supervisor.clone(), handle.clone(), background.clone()));
    let pulse = Pulse {
        supervisor: supervisor.clone(),
        gateway: handle.clone(),
        clock,
        view: view.clone(),
        lines: options.lines.clone(),
    };
    tasks.spawn(pulse.beat(background.clone()));
    let tail = tail_of(supervisor.clone());
    tasks.spawn(page::serve(page_listener, page::router(view.clone(), tail), background.clone().cancelled_owned()));
    let gateway_stop = CancellationToken::new();
    let serving = tokio::spawn(gateway.serve(gateway_listener, gateway_stop.clone().cancelled_owned()));

    let (recording, writing) = begin_recording(options.record.as_deref(), &recorded_from, recorded)?.unzip();
    let scrape = ScrapeConfig { request_timeout: SCRAPE_TIMEOUT, ..ScrapeConfig::default() };
    let mut world = World {
        clock,
        fleet: Fleet::new(Vec::new(), Vec::new()),
        setup: Setup { groups: Vec::new(), autoscalers: Vec::new(), ..options.setup.clone() },
        supervisor: supervisor.clone(),
        gateway: handle.clone(),
        observer: Observer::new(Scraper::new(scrape)),
        drains: TaskTracker::new(),
        view: view.clone(),
        lines: options.lines.clone(),
        changes: BTreeMap::new(),
        rolls: Rolls::default(),
        plans: Plans::new(Some(ended)),
        advisors: Advisors::default(),
        recording,
    };
    let account = Account { supervisor: supervisor.clone(), clock, tally: Arc::clone(&tally), view: view.clone() };
    let table = if options.table { Table::on_terminal() } else { None };
    let over = match world.apply(options.setup.clone()) {
        Ok(()) => turns(&mut world, &options, &account, table.as_ref(), gateway_at, stop).await,
        Err(error) => Over { result: Err(error), load: None },
    };
    let running = Running { serving, stop: gateway_stop, load: over.load };
    ending::end(&world, running, &account, table.as_ref()).await;
    if let Some(recording) = &mut world.recording {
        recording.rest(clock);
    }
    background.cancel();
    drop((handle, world.gateway, world.recording.take()));
    tasks.close();
    let _ = tokio::time::timeout(TASKS_TIMEOUT, tasks.wait()).await;
    if let Some(requests) = requests {
        requests.finish(TASKS_TIMEOUT).await;
    }
    let mut summary = tally.lock().unwrap_or_else(PoisonError::into_inner).summary(clock.now(), world.changes);
    summary.advice = world.advisors.sums();
    summary.decisions = view.read(|view| view.decisions.iter().cloned().collect());
    if over.result.is_ok() {
        options.lines.write(&Line::Summary(summary.clone()));
    }
    finish_output(options.lines, table).await;
    if let Some(writing) = writing {
        tokio::task::spawn_blocking(move || writing.finish()).await?.context("the recording is not complete")?;
    }
    over.result?;
    Ok(summary)
}

/// The last lines of a replica, for the page.
fn tail_of(supervisor: Supervisor) -> page::Tail {
    let lines = move |id: &str, count: usize| -> Option<Vec<String>> {
        let lines = supervisor.tail(id, count).ok()?;
        Some(lines.into_iter().map(|line| line.text.to_string()).collect())
    };
    Arc::new(lines)
}

/// Begins the recording that was asked for.
fn begin_recording(
    path: Option<&Path>,
    epoch: &str,
    ended: Option<Receiver<Event>>,
) -> anyhow::Result<Option<(Recording, record::Writing)>> {
    let Some((path, ended)) = path.zip(ended) else { return Ok(None) };
    let (recorder, writing) =
        Recorder::create(path, epoch).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(Some((Recording::new(recorder, ended), writing)))
}

/// Begins the file of requests that was asked for.
fn begin_requests(options: &Options, gateway: &GatewayHandle, clock: Clock) -> anyhow::Result<Option<Writing>> {
    let Some(path) = &options.requests else { return Ok(None) };
    let lines = options.lines.clone();
    let tell = move |message: String| {
        tracing::warn!("{message}");
        lines.write(&Line::Warning { at: clock.now(), message });
    };
    requests::begin(path, gateway.subscribe(RECORDS), Box::new(tell)).map(Some)
}

/// Gives the last lines their time, off the runtime: both wait for a reader.
async fn finish_output(lines: Lines, table: Option<Table>) {
    let finish = move || {
        if let Some(table) = table {
            table.finish(LAST_LINES);
        }
        lines.finish(LAST_LINES)
    };
    if matches!(tokio::task::spawn_blocking(finish).await, Ok(false)) {
        tracing::warn!("the last lines were not read, the summary among them");
    }
}

/// Tasks that count and serve pages have nothing left to wait for by then.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);

/// The gateway's spans are trace time in the manifest and machine time on the wire.
fn gateway_config(options: &Options, clock: Clock) -> GatewayConfig {
    let mut config = GatewayConfig::default();
    let scaled = |span: Duration| clock.machine(span.as_secs_f64());
    config.request_timeout = scaled(options.setup.request_timeout().unwrap_or(config.request_timeout));
    config.shutdown_timeout = scaled(options.setup.longest_end());
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
