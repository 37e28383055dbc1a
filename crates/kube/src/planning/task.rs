//! Runs one model: waits for reports, computes beside the other objects' ticks, publishes the plan, and saves now and then.

use super::model::{Model, Report};
use super::store::Store;
use crate::context::Context;
use autoscaler_core::fleet::Plan;
use autoscaler_planning::Objective;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

/// What an object tells its model.
#[derive(Debug)]
pub(crate) enum Message {
    Report(Box<Report>),
    /// The object is gone for good.
    Gone(String),
}

/// What all objects of a model read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    /// The latest plan, fresh or not.
    pub(crate) plan: Option<Arc<Plan>>,
    /// What a request must keep.
    pub(crate) objective: Option<Objective>,
    /// Why it cannot be planned.
    pub(crate) refused: Option<String>,
    /// Whether it was looked for what an earlier process has saved.
    pub(crate) loaded: bool,
}

/// What was learnt is saved this often.
const SAVE_EVERY: Duration = Duration::from_secs(300);

/// Runs until every object has let go.
pub(crate) async fn run(
    context: Arc<Context>,
    key: String,
    mut messages: mpsc::Receiver<Message>,
    published: watch::Sender<Published>,
    turn: Arc<Semaphore>,
) {
    let home = context.options.home.clone().unwrap_or_else(|| context.client.default_namespace().to_owned());
    let store = Store::new(&context.client, &home, &context.options.lease, &key);
    let mut model = load(&store, &key).await;
    published.send_modify(|now| (now.plan, now.loaded) = (model.plan(), true));
    let mut save = tokio::time::interval_at(Instant::now() + SAVE_EVERY, SAVE_EVERY);
    save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Objects of one model tick apart: who waits for the others, waits for one tick.
    let mut due: Option<Instant> = None;
    loop {
        let at = due.unwrap_or_else(Instant::now);
        let step = tokio::select! {
            biased;
            message = messages.recv() => match message {
                None => break,
                Some(Message::Gone(name)) => {
                    model.forget(&name);
                    if model.is_empty() {
                        if context.may_write() {
                            store.remove().await;
                        }
                        model = Model::default();
                    }
                    false
                }
                Some(Message::Report(report)) => {
                    due.get_or_insert_with(|| Instant::now() + context.options.interval);
                    model.take(*report)
                }
            },
            () = tokio::time::sleep_until(at), if due.is_some() => true,
            _ = save.tick() => {
                write(&context, &store, &key, &model).await;
                false
            }
        };
        if step {
            due = None;
            model = compute(model, &store, &key, &turn, &published).await;
        }
    }
    write(&context, &store, &key, &model).await;
}

/// The model as it was saved.
async fn load(store: &Store, key: &str) -> Model {
    match store.load().await {
        Ok(saved) => saved.map(Model::resume).unwrap_or_default(),
        Err(why) => {
            tracing::warn!(model = key, "planning: {why}; it begins anew");
            Model::default()
        }
    }
}

/// A step, on a thread that may be busy for long. Only so many models compute at once, so that ticks go on.
async fn compute(
    mut model: Model,
    store: &Store,
    key: &str,
    turn: &Semaphore,
    published: &watch::Sender<Published>,
) -> Model {
    // It is never closed.
    let _turn = turn.acquire().await.ok();
    let stepped = tokio::task::spawn_blocking(move || {
        let refused = model.step().err().map(|error| error.to_string());
        (model, refused)
    });
    match stepped.await {
        Ok((model, refused)) => {
            let news = Published { plan: model.plan(), objective: model.objective(), refused, loaded: true };
            published.send_replace(news);
            model
        }
        Err(error) => {
            tracing::error!(model = key, %error, "a planning ended; it is begun again");
            load(store, key).await
        }
    }
}

async fn write(context: &Context, store: &Store, key: &str, model: &Model) {
    let Some(saved) = model.saved(key).filter(|_| context.may_write()) else { return };
    let written = match saved.pack() {
        Ok(packed) => context.leadership.while_leading(store.save(packed)).await.unwrap_or(Ok(())),
        Err(why) => Err(why),
    };
    if let Err(why) = written {
        tracing::warn!(model = key, "planning: {why}");
    }
}
