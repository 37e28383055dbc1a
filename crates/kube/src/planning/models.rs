//! Which models there are, and a task for each. An object joins one, and the task ends when the last has let go.

use super::task::{self, Message, Published};
use crate::context::Context;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// The models of a cluster.
#[derive(Debug)]
pub(crate) struct Models {
    known: Mutex<Known>,
    /// Models that may compute at once: half of the processors, so that the other half ticks.
    turn: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    handles: BTreeMap<String, (mpsc::WeakSender<Message>, watch::Receiver<Published>)>,
    tasks: JoinSet<()>,
}

/// An object's share of a model.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) key: String,
    pub(crate) sender: mpsc::Sender<Message>,
    pub(crate) published: watch::Receiver<Published>,
}

/// Reports that wait for a model that computes; more are dropped, which is a gap.
const WAITING: usize = 64;

impl Default for Models {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { known: Mutex::default(), turn: Arc::new(Semaphore::new((processors / 2).max(1))) }
    }
}

impl Models {
    /// Joins a model; begins its task where there is none.
    pub(crate) fn join(&self, context: &Arc<Context>, key: &str) -> Handle {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while known.tasks.try_join_next().is_some() {}
        let running =
            known.handles.get(key).and_then(|(sender, published)| Some((sender.upgrade()?, published.clone())));
        let (sender, published) = running.filter(|(sender, _)| !sender.is_closed()).unwrap_or_else(|| {
            let (sender, messages) = mpsc::channel(WAITING);
            let (publish, published) = watch::channel(Published::default());
            known.handles.retain(|_, (sender, _)| sender.strong_count() > 0);
            known.handles.insert(key.to_owned(), (sender.downgrade(), published.clone()));
            known.tasks.spawn(task::run(
                Arc::clone(context),
                key.to_owned(),
                messages,
                publish,
                Arc::clone(&self.turn),
            ));
            (sender, published)
        });
        Handle { key: key.to_owned(), sender, published }
    }

    /// Waits until every task has ended, once their objects have let go.
    pub(crate) async fn finish(&self) {
        let mut tasks = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner)).tasks;
        while tasks.join_next().await.is_some() {}
    }
}
