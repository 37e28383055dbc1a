//! A cluster with the CRD, a fake kubelet, engines on the pods' addresses, and the controller under test.

use super::GUARD;
use super::kubelet::Kubelet;
use super::plane::{ADMIN, World};
use autoscaler_api::PodAutoscaler;
use autoscaler_kube::Options;
use axum::Router;
use axum::routing::get;
use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::discovery::Scope;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A cluster for one test, or a namespace of one.
pub(crate) struct Cluster {
    pub(crate) world: World,
    /// Where everything is that a test makes.
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) engines: Engines,
    pub(crate) kubelet: Kubelet,
    _engines: AbortHandle,
}

/// The engines on the pods' addresses: all of them print what is set here.
#[derive(Clone, Default)]
pub(crate) struct Engines(Arc<Mutex<BTreeMap<String, String>>>);

impl Engines {
    /// What the pods of a Deployment print as `num_requests_running`, each.
    pub(crate) fn set(&self, app: &str, running: f64) {
        self.print(app, running_page(running));
    }

    /// What one pod prints, whatever its Deployment's do.
    pub(crate) fn set_pod(&self, pod: &str, running: f64) {
        self.print(&format!("pod {pod}"), running_page(running));
    }

    /// The whole page that each pod of a Deployment prints.
    pub(crate) fn print(&self, app: &str, page: impl Into<String>) {
        self.0.lock().unwrap().insert(app.to_owned(), page.into());
    }

    fn page(&self, app: &str, pod: &str) -> String {
        let set = self.0.lock().unwrap();
        set.get(&format!("pod {pod}")).or(set.get(app)).cloned().unwrap_or_else(|| running_page(0.0))
    }
}

fn running_page(running: f64) -> String {
    format!("# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{model_name=\"m\"}} {running}\n")
}

/// The counts that a Deployment wanted, in order, without repetitions.
#[derive(Clone)]
pub(crate) struct Sizes(Arc<Mutex<Vec<i32>>>);

impl Sizes {
    pub(crate) fn sizes(&self) -> Vec<i32> {
        self.0.lock().unwrap().clone()
    }
}

/// A controller with a runtime of its own, so that it can crash with everything that it has begun.
pub(crate) struct Controller {
    stop: CancellationToken,
    runtime: Option<Runtime>,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Controller {
    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        tokio::time::timeout(GUARD, &mut self.task).await.unwrap().unwrap().unwrap();
    }

    /// Ends it as SIGKILL does.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What tests run the controller with: everything faster than in life.
pub(crate) fn quick() -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    Options {
        interval: Duration::from_millis(500),
        status_interval: Duration::from_secs(1),
        health: any,
        metrics: any,
        ..Options::default()
    }
}

impl Cluster {
    /// Starts one; none where there is no control plane.
    pub(crate) async fn start() -> Option<Self> {
        let world = World::find().await?;
        let client = Client::try_from(world.config_of(ADMIN).await).unwrap();
        let namespace = format!("autoscaler-test-{:08x}", rand::random::<u32>());
        let named: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &named).await.unwrap();
        install_crd(&client).await;
        let kubelet = Kubelet::start(client.clone(), &namespace).await;
        let engines = Engines::default();
        let serving = tokio::spawn(serve(client.clone(), namespace.clone(), engines.clone())).abort_handle();
        Some(Self { world, namespace, client, engines, kubelet, _engines: serving })
    }

    /// Whether the server has an API version.
    pub(crate) async fn serves(&self, api_version: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap();
        let group = kube::discovery::group(&self.client, group).await.unwrap();
        group.versions().any(|served| served == version)
    }

    /// Runs a controller with all rights.
    pub(crate) async fn controller(&self, options: Options) -> Controller {
        self.controller_as(ADMIN, options).await
    }

    /// Runs a controller with a user's rights. In a cluster that others use, it sees to this namespace only.
    pub(crate) async fn controller_as(&self, user: &str, mut options: Options) -> Controller {
        options.home.get_or_insert_with(|| self.namespace.clone());
        if matches!(self.world, World::Given(_)) {
            options.namespace = Some(self.namespace.clone());
        }
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = self.world.config_of(user).await;
        let told = stop.clone();
        // The client's own tasks are the runtime's, too.
        let task = runtime.spawn(async move { autoscaler_kube::run(options, config, told).await });
        Controller { stop, runtime: Some(runtime), task }
    }

    /// Makes a Deployment; its pods have these annotations.
    pub(crate) async fn deployment(&self, name: &str, replicas: i32, annotations: Value) {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}, "annotations": annotations},
                // No scheduler but the kubelet's.
                "spec": {"schedulerName": "test", "containers": [{"name": "c", "image": "i"}]}}},
        });
        self.deployments().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The names of a Deployment's pods that are not on their way out.
    pub(crate) async fn pods(&self, name: &str) -> Vec<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = pods.list(&ListParams::default().labels(&format!("app={name}"))).await.unwrap();
        let stay = found.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        stay.map(ResourceExt::name_any).collect()
    }

    /// Waits until a pod was given a cost of deletion below that of others; is listening when it is given back.
    pub(crate) async fn marked(&self, pod: &str) -> impl Future<Output = ()> + use<> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={pod}"));
        let mut changes = Box::pin(watcher(pods, config).touched_objects());
        // The first is the pod as it is.
        changes.next().await.unwrap().unwrap();
        let find = async move {
            let key = "controller.kubernetes.io/pod-deletion-cost";
            let below = |pod: &Pod| pod.annotations().get(key).is_some_and(|cost| cost.starts_with('-'));
            while !below(&changes.next().await.unwrap().unwrap()) {}
        };
        async move { tokio::time::timeout(GUARD, find).await.unwrap() }
    }

    pub(crate) fn autoscalers(&self) -> Api<PodAutoscaler> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes a `PodAutoscaler` of a Deployment of the same name, that wants four running requests a replica.
    pub(crate) async fn autoscaler(&self, name: &str, strategy: &str, more: Value) {
        self.autoscaler_with(name, strategy, more, json!({})).await;
    }

    /// The same, where there is none yet.
    pub(crate) async fn autoscaler_once(&self, name: &str, strategy: &str) {
        if self.autoscalers().get_opt(name).await.unwrap().is_none() {
            self.autoscaler(name, strategy, json!({})).await;
        }
    }

    /// The same with more annotations.
    pub(crate) async fn autoscaler_with(&self, name: &str, strategy: &str, more: Value, annotations: Value) {
        let mut object = json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
            "metadata": {"name": name, "annotations": {"autoscaling.aibrix.ai/scale-down-cooldown-window": "2s"}},
            "spec": {"scalingStrategy": strategy, "minReplicas": 1, "maxReplicas": 5,
                "observeWindowSeconds": 2, "panicWindowSeconds": 1,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                    "targetMetric": "num_requests_running", "targetValue": "4"}]},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        for (key, value) in annotations.as_object().into_iter().flatten() {
            object["metadata"]["annotations"][key] = value.clone();
        }
        self.autoscalers().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// Waits until what is made now is younger than a `PodAutoscaler`: servers date objects in whole seconds.
    pub(crate) async fn grow_older(&self, name: &str) {
        let made = self.autoscalers().get(name).await.unwrap().creation_timestamp().unwrap().0;
        let left = made + jiff::SignedDuration::from_secs(1) - jiff::Timestamp::now();
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    }

    /// Installs the CRD, where it is not.
    pub(crate) async fn install_crd(&self) {
        install_crd(&self.client).await;
    }

    /// Makes any object, in this namespace where its kind has one.
    pub(crate) async fn create(&self, object: Value) -> DynamicObject {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let gvk = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let (resource, about) = kube::discovery::pinned_kind(&self.client, &gvk).await.unwrap();
        let api: Api<DynamicObject> = match about.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        };
        api.create(&PostParams::default(), &object).await.unwrap()
    }

    /// Waits until a Deployment wants so many replicas.
    pub(crate) async fn wants(&self, name: &str, replicas: i32) {
        self.wants_what(name, &format!("{replicas}"), move |wanted| wanted == replicas).await;
    }

    /// Waits until a Deployment wants so many replicas or more.
    pub(crate) async fn wants_at_least(&self, name: &str, replicas: i32) {
        self.wants_what(name, &format!("{replicas} or more"), move |wanted| wanted >= replicas).await;
    }

    async fn wants_what(&self, name: &str, what: &str, is: impl Fn(i32) -> bool) {
        let wants = move |object: Option<&Deployment>| {
            object.and_then(|object| object.spec.as_ref()?.replicas).is_some_and(&is)
        };
        self.until(&format!("{name} wants {what}"), await_condition(self.deployments(), name, wants)).await;
    }

    /// Waits until so many replicas of a Deployment are ready, and no others exist.
    pub(crate) async fn ready(&self, name: &str, replicas: i32) {
        let is = move |object: Option<&Deployment>| {
            let status = object.and_then(|object| object.status.as_ref());
            status.is_some_and(|status| (status.ready_replicas, status.replicas) == (Some(replicas), Some(replicas)))
        };
        self.until(&format!("{name} has {replicas} ready"), await_condition(self.deployments(), name, is)).await;
    }

    /// Waits until the controller has decided on so many replicas, anew.
    pub(crate) async fn decided(&self, name: &str, replicas: i32) {
        let since = jiff::Timestamp::now();
        let is = move |object: Option<&PodAutoscaler>| {
            let decision = object.and_then(|object| object.status.as_ref()?.last_decision.as_ref());
            decision.is_some_and(|decision| decision.desired == replicas && decision.time.0 > since)
        };
        self.until(&format!("{name} is decided on"), await_condition(self.autoscalers(), name, is)).await;
    }

    /// Waits until the last decision has a reason with this in it.
    pub(crate) async fn because(&self, name: &str, part: &str) {
        let wanted = part.to_owned();
        let is = move |object: Option<&PodAutoscaler>| {
            let decision = object.and_then(|object| object.status.as_ref()?.last_decision.as_ref());
            decision.is_some_and(|decision| decision.reason.contains(&wanted))
        };
        self.until(&format!("{name}: {part}"), await_condition(self.autoscalers(), name, is)).await;
    }

    /// Waits for an event about a `PodAutoscaler`.
    pub(crate) async fn event(&self, name: &str, reason: &str) -> String {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut all = std::pin::pin!(watcher(events, watcher::Config::default()).applied_objects());
        let find = async {
            loop {
                let event = all.next().await.unwrap().unwrap();
                let about = event.regarding.and_then(|about| about.name);
                if about.as_deref() == Some(name) && event.reason.as_deref() == Some(reason) {
                    return event.note.unwrap_or_default();
                }
            }
        };
        tokio::time::timeout(GUARD, find).await.unwrap_or_else(|_| panic!("no event {reason} about {name}"))
    }

    /// Begins to write down how many replicas a Deployment wants.
    pub(crate) async fn sizes(&self, name: &str) -> Sizes {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut changes = Box::pin(watcher(self.deployments(), config).default_backoff().applied_objects());
        let sizes = Sizes(Arc::default());
        let seen = sizes.clone();
        let (begun, first) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut begun = Some(begun);
            while let Some(change) = changes.next().await {
                let Some(size) = change.ok().and_then(|object| object.spec?.replicas) else { continue };
                let mut sizes = seen.0.lock().unwrap();
                if sizes.last() != Some(&size) {
                    sizes.push(size);
                }
                drop(sizes);
                begun.take().map(|begun| begun.send(()));
            }
        });
        first.await.unwrap();
        sizes
    }

    /// Waits until a condition of a `PodAutoscaler` has a status and a reason.
    pub(crate) async fn condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let (kind, status, reason) = (kind.to_owned(), status.to_owned(), reason.to_owned());
        let find = move |object: &PodAutoscaler| {
            let found = object.status.as_ref()?.conditions.as_ref()?.iter().find(|one| one.type_ == kind)?.clone();
            (found.status == status && found.reason == reason).then_some(found.message)
        };
        let holds = find.clone();
        let is = move |object: Option<&PodAutoscaler>| object.and_then(&holds).is_some();
        let what = format!("a condition of {name}");
        let object = self.until(&what, await_condition(self.autoscalers(), name, is)).await;
        object.as_ref().and_then(find).unwrap()
    }

    #[track_caller]
    fn until<T>(
        &self,
        what: &str,
        condition: impl Future<Output = Result<T, kube::runtime::wait::Error>>,
    ) -> impl Future<Output = T> {
        let what = what.to_owned();
        let place = std::panic::Location::caller();
        async move {
            match tokio::time::timeout(GUARD, condition).await {
                Ok(found) => found.unwrap(),
                Err(tokio::time::error::Elapsed { .. }) => {
                    panic!("{place}: it did not come to this: {what}; {}", self.story().await)
                }
            }
        }
    }

    async fn story(&self) -> String {
        let mut story = String::new();
        for object in self.autoscalers().list(&ListParams::default()).await.into_iter().flatten() {
            let status = serde_json::to_string_pretty(&object.status).unwrap_or_default();
            let _ = write!(story, "\n{}: {status}", object.name_any());
        }
        story
    }
}

impl Drop for Cluster {
    /// Leaves a cluster that was there before as it was.
    fn drop(&mut self) {
        let World::Given(config) = &self.world else { return };
        let (config, name) = (config.as_ref().clone(), self.namespace.clone());
        let clean = async move {
            let client = Client::try_from(config).unwrap();
            let params = DeleteParams::default();
            let _ = Api::<Namespace>::all(client.clone()).delete(&name, &params).await;
            let _ = Api::<Node>::all(client).delete(&name, &params).await;
        };
        // A runtime cannot wait within itself.
        let cleaned = std::thread::spawn(|| Runtime::new().unwrap().block_on(clean));
        let _ = cleaned.join();
    }
}

async fn install_crd(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd: Value = serde_saphyr::from_str(&autoscaler_api::crd::crd_yaml()).unwrap();
    let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
    // Older servers drop rules in CEL, and refuse to apply them.
    match crds.create(&PostParams::default(), &serde_json::from_value(crd).unwrap()).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        made => drop(made.unwrap()),
    }
    let established = await_condition(crds, &name, conditions::is_crd_established());
    tokio::time::timeout(GUARD, established).await.unwrap().unwrap();
}

/// Serves a metrics page at each pod's address, while it has one.
async fn serve(client: Client, namespace: String, engines: Engines) {
    let all: Api<Pod> = Api::namespaced(client, &namespace);
    let mut pods = std::pin::pin!(watcher(all, watcher::Config::default()).default_backoff().touched_objects());
    let mut known: BTreeMap<String, AbortHandle> = BTreeMap::new();
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        let Some(ip) = pod.status.as_ref().and_then(|status| status.pod_ip.clone()) else { continue };
        if pod.metadata.deletion_timestamp.is_some() {
            known.remove(&ip).inspect(AbortHandle::abort);
            continue;
        }
        if known.contains_key(&ip) || pod.annotations().contains_key("test/silent") {
            continue;
        }
        let (engines, app) = (engines.clone(), pod.labels().get("app").cloned().unwrap_or_default());
        let name = pod.name_any();
        let hangs = pod.annotations().contains_key("test/hangs");
        let page = get(async move || {
            if hangs {
                std::future::pending::<()>().await;
            }
            engines.page(&app, &name)
        });
        let listener = tokio::net::TcpListener::bind(format!("{ip}:8000")).await.unwrap();
        let app = Router::new().route("/metrics", page);
        known.insert(ip, tokio::spawn(async move { axum::serve(listener, app).await }).abort_handle());
    }
}
