//! Memories of recent values: Knative's one-second buckets, Knative's sliding maximum, AIBrix's plain mean, and the
//! log of recommendations. Each has a bound; none knows a clock.

pub mod buckets;
pub mod maximum;
pub mod mean;
