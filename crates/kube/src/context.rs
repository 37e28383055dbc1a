//! What every object's worker shares.

use crate::admin::Metrics;
use crate::events::Events;
use crate::leader::Leadership;
use crate::memory::Memories;
use crate::options::Options;
use crate::partners::Partners;
use crate::planning::Models;
use crate::pods;
use crate::sources::CustomApi;
use crate::target;
use autoscaler_core::Timestamp;
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::record::Recorder;
use autoscaler_scrape::Scraper;
use kube::Client;
use std::sync::{Arc, Mutex};

/// What every object's worker shares.
pub(crate) struct Context {
    pub(crate) options: Options,
    /// The controllers' own flags.
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) scraper: Scraper,
    pub(crate) pods: Arc<pods::Index>,
    pub(crate) kinds: target::Kinds,
    pub(crate) watch: target::Watch,
    /// Whether the server has `autoscaling/v2`.
    pub(crate) native_hpa: bool,
    pub(crate) custom: CustomApi,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) leadership: Leadership,
    /// Where it is written down, and the time that its seconds count from.
    pub(crate) recorder: Option<(Recorder, Timestamp)>,
    /// The models that are planned for.
    pub(crate) models: Models,
    /// What targets that serve together say to each other.
    pub(crate) partners: Partners,
    /// What each object remembers, by uid, for the next leader.
    pub(crate) memories: Mutex<Memories>,
}

impl Context {
    /// Whether this controller may write now. Asked before each write, and not only at the tick's begin.
    pub(crate) fn may_write(&self) -> bool {
        self.leadership.leads()
    }
}
