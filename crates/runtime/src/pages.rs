//! Metrics pages of replicas: where they are, what is asked of each, and the last answers. Every world reads pages by this; it
//! must not know what a replica is, nor fetch anything.

use autoscaler_api::resolved::ResolvedSource;
use autoscaler_api::v1alpha1::Statistic as ApiStatistic;
use autoscaler_core::{Reading, Span, Why};
use autoscaler_metrics::{Absent, Engine, Memory, MetricQuery, Statistic, read};
use autoscaler_scrape::{Absence, Access, Answer, Board, Page, ScrapeError, Target};
use std::collections::BTreeMap;

/// Where a replica's page is.
#[derive(Debug, Clone)]
pub struct PageAt {
    /// The name of the port, or its number.
    pub port: String,
    /// The path.
    pub path: String,
    /// Whether over TLS.
    pub https: bool,
    /// Credentials and trust.
    pub access: Access,
}

impl PageAt {
    /// Whether one fetch serves both: not where they are fetched with different credentials or trust.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        self.same_address(other) && self.access == other.access
    }

    /// Whether both have one address, whatever the credentials.
    #[must_use]
    pub fn same_address(&self, other: &Self) -> bool {
        (&self.port, &self.path, self.https) == (&other.port, &other.path, other.https)
    }

    /// The page's URL on a host, at the port that the replica has for it.
    #[must_use]
    pub fn url(&self, host: &str, port: u16) -> String {
        let scheme = if self.https { "https" } else { "http" };
        // An IPv6 address has colons of its own.
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        format!("{scheme}://{open}{host}{close}:{port}/{}", self.path.trim_start_matches('/'))
    }
}

/// What a value is for: the autoscaler (none for what is shown) and its source's key. Two autoscalers may use one key for
/// different questions.
pub type Key = (String, String);

/// What is asked of one page, and what for.
pub type Questions = Vec<(MetricQuery, Key)>;

/// Adds a question to the page that it is for, so that each page is fetched once.
pub fn ask(pages: &mut Vec<(PageAt, Questions)>, page: &PageAt, question: (MetricQuery, Key)) {
    match pages.iter_mut().find(|(known, _)| known.same_place(page)) {
        Some((_, questions)) => questions.push(question),
        None => pages.push((page.clone(), vec![question])),
    }
}

/// The questions to one page of one replica (or to one endpoint), and what they are for.
#[derive(Debug)]
pub struct Job {
    /// Its id begins with the owner, up to a blank.
    pub target: Target,
    /// The replica, or the autoscaler of an endpoint.
    pub owner: String,
    /// Whose dialect the page speaks, where that is known.
    pub engine: Option<Engine>,
    /// What is asked.
    pub queries: Vec<MetricQuery>,
    /// What each question is for.
    pub keys: Vec<Key>,
}

/// The jobs of one replica: each of its pages once. `url` says where a page is; none where the replica has no such port.
pub fn jobs(
    owner: &str,
    engine: Option<Engine>,
    pages: &[(PageAt, Questions)],
    url: impl Fn(&PageAt) -> Option<String>,
) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (index, (page, questions)) in pages.iter().enumerate() {
        let Some(url) = url(page) else { continue };
        // Two pages may differ in their credentials only.
        let again = pages[..index].iter().filter(|(other, _)| other.same_address(page)).count();
        let target = Target { id: format!("{owner} {url} {again}"), url, access: page.access.clone() };
        let (queries, keys) = questions.iter().cloned().unzip();
        jobs.push(Job { target, owner: owner.to_owned(), engine, queries, keys });
    }
    jobs
}

/// What a source asks of a page.
#[must_use]
pub fn query(source: &ResolvedSource) -> MetricQuery {
    MetricQuery {
        name: source.metric.clone(),
        statistic: source.statistic.map(statistic),
        labels: source.labels.clone(),
    }
}

fn statistic(given: ApiStatistic) -> Statistic {
    match given {
        ApiStatistic::Value => Statistic::Value,
        ApiStatistic::Rate => Statistic::Rate,
        ApiStatistic::Mean => Statistic::Mean,
        ApiStatistic::P50 => Statistic::Percentile(50),
        ApiStatistic::P90 => Statistic::Percentile(90),
        ApiStatistic::P95 => Statistic::Percentile(95),
        ApiStatistic::P99 => Statistic::Percentile(99),
    }
}

/// Reads pages, and remembers what rates and staleness need. Times are seconds of the world's clock.
#[derive(Debug)]
pub struct Reader {
    /// By job.
    memories: BTreeMap<String, Memory>,
    /// The last values, by owner and what asks.
    board: Board<Key>,
}

impl Reader {
    /// A reader without a memory; values are fresh for three of these intervals (seconds).
    #[must_use]
    pub fn new(scrape_interval: f64) -> Self {
        Self { memories: BTreeMap::new(), board: Board::new(scrape_interval) }
    }

    /// Takes a changed interval between scrapes, in seconds.
    pub fn set_interval(&mut self, scrape_interval: f64) {
        self.board.set_interval(scrape_interval);
    }

    /// Takes what became of a job; `at` is when the page's last byte came.
    pub fn take(&mut self, job: &Job, page: Result<&Page, &ScrapeError>, at: f64) {
        match page {
            Ok(page) => {
                let memory = self.memories.entry(job.target.id.clone()).or_default();
                let answers = read(&page.body, job.engine, &job.queries, memory, at);
                self.note(job, at, answers);
            }
            Err(error) => job.keys.iter().for_each(|key| self.board.fail(&job.owner, key.clone(), &error.to_string())),
        }
    }

    fn note(&mut self, job: &Job, at: f64, answers: Vec<Result<f64, Absent>>) {
        for (key, answer) in job.keys.iter().zip(answers) {
            match answer {
                Ok(value) => self.board.record(&job.owner, key.clone(), at, value),
                Err(why) => self.board.fail(&job.owner, key.clone(), &why.to_string()),
            }
        }
    }

    /// A value that came by another way than a page.
    pub fn put(&mut self, owner: &str, key: Key, at: f64, value: Result<f64, String>) {
        match value {
            Ok(value) => self.board.record(owner, key, at, value),
            Err(why) => self.board.fail(owner, key, &why),
        }
    }

    /// The last answer, as fresh as it is at `now`.
    #[must_use]
    pub fn reading(&self, owner: &str, key: &Key, now: f64) -> Reading {
        match self.board.read(owner, key, now) {
            Answer::Fresh(value) => Reading::load(value),
            Answer::Stale { value, age } => Reading::Stale { value, age: Span::from_secs(age) },
            Answer::Absent(Absence::NotRead) => Reading::Absent(Why::NotRead),
            Answer::Absent(why) => Reading::Absent(Why::Failed(why.to_string())),
        }
    }

    /// Forgets what is gone: memories and values of what no job asks about, but of owners that are to be kept.
    pub fn forget(&mut self, jobs: &[Job], keep: impl Fn(&str) -> bool) {
        let owner = |id: &str| id.split(' ').next().is_some_and(&keep);
        self.memories.retain(|id, _| jobs.iter().any(|job| job.target.id == *id) || owner(id));
        self.board.retain(|owner| jobs.iter().any(|job| job.owner == owner) || keep(owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_where_the_manifest_says() {
        let page = |https, path: &str| PageAt { port: "m".into(), path: path.into(), https, access: Access::default() };
        assert_eq!(page(true, "/x/m").url("10.0.0.1", 8443), "https://10.0.0.1:8443/x/m");
        assert_eq!(page(false, "metrics").url("10.0.0.1", 80), "http://10.0.0.1:80/metrics");
        assert_eq!(page(false, "/metrics").url("fd00::1", 80), "http://[fd00::1]:80/metrics");
    }
}
