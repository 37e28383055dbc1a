//! The load of a model from the metrics pages of its replicas: what they have counted since the turn before. Must not know what
//! is planned.

use autoscaler_scrape::{Access, Scraper, Target};
use request_monitor::Batch;
use request_monitor::engine::Replicas;

/// The replicas of one model.
#[derive(Debug, Default)]
pub(crate) struct Engines(Replicas);

impl Engines {
    /// Fetches all pages. What happened since the last time, and what is wrong; both where some of the replicas answer.
    pub(crate) async fn read(
        &mut self,
        scraper: &Scraper,
        urls: &[String],
        now: f64,
    ) -> (Option<Batch>, Option<String>) {
        let target = |url: &String| Target { id: url.clone(), url: url.clone(), access: Access::default() };
        let targets: Vec<Target> = urls.iter().map(target).collect();
        let (mut failed, mut first) = (0_usize, None);
        for (id, page) in scraper.sweep(&targets).await {
            let read = match page {
                Ok(page) => self.0.page(&id, None, &page.body, now).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = read {
                failed += 1;
                first.get_or_insert_with(|| format!("{id}: {error}"));
            }
        }
        let trouble = first.map(|first| format!("{failed} of {} pages failed, the first: {first}", urls.len()));
        (self.0.batch(now), trouble)
    }
}
