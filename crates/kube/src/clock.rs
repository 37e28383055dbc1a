//! The controller's clock: the wall's, which never goes back. Kubernetes' times are the wall's, so the core's are, too.

use autoscaler_core::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::atomic::{AtomicI64, Ordering};

/// The latest time that was given, in microseconds of Unix time.
static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);

/// Now; never earlier than what was given before, however the machine's clock is set.
pub(crate) fn now() -> Timestamp {
    let now = jiff::Timestamp::now().as_microsecond();
    Timestamp(LATEST.fetch_max(now, Ordering::Relaxed).max(now))
}

/// The same as seconds, as pages are dated.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    // Microseconds of Unix time fit into 53 bits for centuries.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let seconds = at.0 as f64 / 1e6;
    seconds
}

/// As Kubernetes writes it.
pub(crate) fn time(at: Timestamp) -> Time {
    Time(jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}
