//! The optimizer's own API: everything that a plan is made of, as JSON. Reads; must not change anything.

use super::error;
use crate::brain::{Basis, Trouble};
use crate::plan::Plan;
use crate::profiles::Summary;
use crate::service::{Model, Optimizer, locked};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Optimizer>> {
    Router::new()
        .route("/api/v1/models", get(models))
        .route("/api/v1/models/{model}", get(model))
        .route("/api/v1/models/{model}/history", get(history))
}

/// A model, in one line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    model: String,
    state: &'static str,
    reason: Option<String>,
    rate: Option<f64>,
    cost: Option<f64>,
    /// Seconds since the plan was made or confirmed.
    plan_age: Option<f64>,
    replicas: BTreeMap<String, u32>,
    troubles: usize,
}

/// A model, in full.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    model: String,
    /// Now, Unix seconds, by the optimizer's clock.
    now: f64,
    /// `planned`, `held`, or `waiting` where there has been no plan yet.
    state: &'static str,
    /// Why it is held, or waited for.
    reason: Option<String>,
    plan_age: Option<f64>,
    load: Option<Value>,
    headroom: f64,
    deployments: Vec<One>,
    plan: Option<Plan>,
    profiles: Vec<Summary>,
    troubles: BTreeMap<String, Trouble>,
}

/// A deployment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One {
    deployment: String,
    gpu: String,
    cost: Option<f64>,
    min: u32,
    max: Option<u32>,
    /// Replicas that it is taken to have.
    replicas: Option<u32>,
    /// Replicas that are recommended; none where nothing is known, and then nothing is answered.
    recommended: Option<u32>,
    by: Option<Basis>,
    set: Option<u32>,
    profiled: bool,
}

fn state(model: &Model) -> (&'static str, Option<String>) {
    let shown = model.shown();
    let state = match (&shown.plan, &shown.held) {
        (None, _) => "waiting",
        (_, Some(_)) => "held",
        _ => "planned",
    };
    (state, shown.held.clone())
}

async fn models(State(optimizer): State<Arc<Optimizer>>) -> Json<Vec<Line>> {
    let now = optimizer.now();
    let line = |model: Arc<Model>| {
        let (state, reason) = state(&model);
        let shown = model.shown();
        let advice = model.advice();
        Line {
            state,
            reason,
            rate: shown.load.as_ref().map(|load| load.rate).filter(|rate| rate.is_finite()),
            cost: shown.plan.as_ref().map(|plan| plan.cost),
            plan_age: shown.plan.as_ref().map(|plan| (now - plan.at).max(0.0)),
            replicas: advice.iter().filter_map(|one| Some((one.deployment.key(), one.given?.0))).collect(),
            troubles: shown.troubles.len(),
            model: model.name.clone(),
        }
    };
    Json(optimizer.models().into_iter().map(line).collect())
}

async fn model(State(optimizer): State<Arc<Optimizer>>, Path(name): Path<String>) -> Response {
    let Some(model) = optimizer.model(&name) else { return missing(&name) };
    let (state, reason) = state(&model);
    let (shown, now) = (model.shown(), optimizer.now());
    let one = |one: crate::service::Advice| {
        let key = one.deployment.key();
        One {
            gpu: one.deployment.shown().to_owned(),
            cost: shown.costs.get(&key).copied().or(one.deployment.cost),
            min: one.deployment.min,
            max: one.deployment.max,
            replicas: one.replicas,
            recommended: one.given.map(|(replicas, _)| replicas),
            by: one.given.map(|(_, basis)| basis),
            set: one.said,
            profiled: shown.costs.contains_key(&key),
            deployment: key,
        }
    };
    let load = shown.load.as_ref().map(|load| {
        // An age that is infinite has no number in JSON: it becomes null.
        let mut value = json!(load);
        value["age"] = json!(load.age.is_finite().then(|| load.age + (now - load.at).max(0.0)));
        value
    });
    Json(Whole {
        model: model.name.clone(),
        now,
        state,
        reason,
        plan_age: shown.plan.as_ref().map(|plan| (now - plan.at).max(0.0)),
        load,
        headroom: optimizer.settings.headroom,
        deployments: model.advice().into_iter().map(one).collect(),
        plan: shown.plan.clone(),
        profiles: shown.profiles.clone(),
        troubles: shown.troubles.clone(),
    })
    .into_response()
}

async fn history(State(optimizer): State<Arc<Optimizer>>, Path(name): Path<String>) -> Response {
    match optimizer.model(&name) {
        Some(model) => Json(&*model.shown().history).into_response(),
        None => missing(&name),
    }
}

fn missing(name: &str) -> Response {
    let short: String = name.chars().take(200).collect();
    error(StatusCode::NOT_FOUND, format!("no model {short:?}"))
}

/// Ready once each model has had a turn, and the cluster, if one is asked, has answered.
pub(super) async fn ready(State(optimizer): State<Arc<Optimizer>>) -> (StatusCode, &'static str) {
    let synced = locked(&optimizer.cluster).as_ref().is_none_or(|cluster| cluster.synced);
    if !synced {
        (StatusCode::SERVICE_UNAVAILABLE, "the cluster has not answered yet")
    } else if optimizer.models().iter().any(|model| model.shown().turns + model.shown().panics == 0) {
        (StatusCode::SERVICE_UNAVAILABLE, "not every model has been looked at yet")
    } else {
        (StatusCode::OK, "ok")
    }
}
