//! AIBrix's calls to its GPU optimizer, to the letter (`python/aibrix/aibrix/gpu_optimizer/app.py`), but for what is counted:
//! always hundredths of a replica. There, plans were in hundredths and minimums, first counts and what people set in wholes.

use super::error;
use crate::brain::recommend;
use crate::config::MAX_REPLICAS;
use crate::service::{Model, Optimizer};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Optimizer>> {
    Router::new()
        .route("/metrics/{namespace}/{deployment}", get(metrics))
        .route("/monitor/{namespace}/{deployment}", post(start).delete(stop))
        .route("/update_profile/{model}", get(update_profile))
        .route("/scale/{namespace}/{deployment}", put(scale))
        // The form of AIBrix 0.2.
        .route("/scale/{namespace}/{deployment}/{replicas}", post(scale_by_path))
}

type Named = Path<(String, String)>;

/// The model of a deployment, or why there is none.
fn model_of(optimizer: &Optimizer, namespace: &str, name: &str) -> Result<(Arc<Model>, String), String> {
    let key = format!("{namespace}/{name}");
    let short: String = key.chars().take(200).collect();
    let model = optimizer.model_of(&key);
    model.map(|model| (model, key)).ok_or_else(|| format!("no deployment {short:?} of any model is known"))
}

async fn metrics(State(optimizer): State<Arc<Optimizer>>, Path((namespace, name)): Named) -> Response {
    match value(&optimizer, &namespace, &name) {
        Ok((model, replicas)) => {
            let hundredths = u64::from(replicas) * 100;
            let label = label(&model);
            let text = format!(
                "# HELP vllm:deployment_replicas Number of suggested replicas.\n\
                 # TYPE vllm:deployment_replicas gauge\n\
                 vllm:deployment_replicas{{model_name=\"{label}\"}} {hundredths}\n"
            );
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        }
        Err(why) => error(StatusCode::NOT_FOUND, format!("Failed to read metrics: {why}")),
    }
}

/// Model and whole replicas.
fn value(optimizer: &Optimizer, namespace: &str, name: &str) -> Result<(String, u32), String> {
    let (model, key) = model_of(optimizer, namespace, name)?;
    let (fleet, shown) = (model.fleet(), model.shown());
    let Some(deployment) = fleet.all().remove(&key) else {
        return Err(format!("the optimization of {key} was stopped"));
    };
    let advice = recommend(&deployment, &fleet, shown.plan.as_ref());
    // An answer of 0 would scale to none; no answer holds.
    let why = shown.held.as_deref().unwrap_or("it has no profile");
    let (replicas, _) = advice.ok_or_else(|| format!("nothing is planned for {key} yet: {why}"))?;
    Ok((model.name.clone(), replicas))
}

/// A label's value as the exposition format writes it.
pub(super) fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

async fn start(State(optimizer): State<Arc<Optimizer>>, Path((namespace, name)): Named) -> Response {
    match model_of(&optimizer, &namespace, &name) {
        Ok((model, key)) => {
            let message = if model.fleet().said.stopped.remove(&key) {
                model.wake.notify_one();
                "Deployment optimization started"
            } else {
                "Deployment optimization already started"
            };
            Json(json!({ "message": message })).into_response()
        }
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("Error starting deployment optimization: {why}")),
    }
}

async fn stop(State(optimizer): State<Arc<Optimizer>>, Path((namespace, name)): Named) -> Response {
    match model_of(&optimizer, &namespace, &name) {
        Ok((model, key)) => {
            model.fleet().said.stopped.insert(key);
            model.wake.notify_one();
            Json(json!({ "message": "Deployment optimization stopped" })).into_response()
        }
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("Error stopping deployment optimization: {why}")),
    }
}

async fn update_profile(State(optimizer): State<Arc<Optimizer>>, Path(name): Path<String>) -> Response {
    let Some(model) = optimizer.model(&name) else {
        let short: String = name.chars().take(200).collect();
        return error(StatusCode::NOT_FOUND, format!("{short} not monitored"));
    };
    if optimizer.update_profiles(&model).await {
        model.wake.notify_one();
        Json(json!({ "message": format!("workload profile of {name} updated") })).into_response()
    } else {
        error(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to update workload profile of {name}"))
    }
}

async fn scale(State(optimizer): State<Arc<Optimizer>>, Path((namespace, name)): Named, body: Bytes) -> Response {
    let replicas = match serde_json::from_slice::<Value>(&body) {
        Ok(body) => match body.get("replicas") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        },
        Err(_) => String::new(),
    };
    set(&optimizer, &namespace, &name, &replicas)
}

async fn scale_by_path(
    State(optimizer): State<Arc<Optimizer>>,
    Path((namespace, name, replicas)): Path<(String, String, String)>,
) -> Response {
    set(&optimizer, &namespace, &name, &replicas)
}

/// Sets a count, or with -1 leaves all deployments of the model to the plan again.
fn set(optimizer: &Optimizer, namespace: &str, name: &str, replicas: &str) -> Response {
    let wrong =
        |status, why: &dyn std::fmt::Display| error(status, format!("Error starting deployment optimization: {why}"));
    let (model, key) = match model_of(optimizer, namespace, name) {
        Ok(found) => found,
        Err(why) => return wrong(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let count = match replicas.trim().parse::<i64>() {
        Ok(-1) => None,
        Ok(count) if (0..=i64::from(MAX_REPLICAS)).contains(&count) => u32::try_from(count).ok(),
        // AIBrix takes this for -1, so that a typing error sets a whole model free.
        _ => {
            let why = format!("replicas: allowed: whole numbers from -1 to {MAX_REPLICAS}, as {{\"replicas\": \"3\"}}");
            return wrong(StatusCode::BAD_REQUEST, &why);
        }
    };
    {
        let mut fleet = model.fleet();
        match count {
            Some(count) => _ = fleet.said.overrides.insert(key.clone(), count),
            None => fleet.said.overrides.clear(),
        }
    }
    tracing::info!(model = model.name, deployment = key, count, "somebody set a count; none leaves it to the plan");
    model.wake.notify_one();
    Json(json!({ "message": format!("Scaled to {}", replicas.trim()) })).into_response()
}
