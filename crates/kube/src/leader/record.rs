//! What a Lease says, and what it means to one who wants it. Pure: the clocks are arguments.
//!
//! A record counts as held until it has been **seen** unchanged for a whole duration. Nothing is concluded from the times
//! written in it, so clocks that differ do no harm.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use std::time::Duration;
use tokio::time::Instant;

/// A wall clock; what it says is written into the Lease for people, and never compared.
pub(super) type Wall = fn() -> Timestamp;

/// What was read last, and since when it has been so.
#[derive(Debug)]
struct Seen {
    // None: the Lease is absent.
    spec: Option<LeaseSpec>,
    since: Instant,
}

/// What one contender knows of the lease from having looked.
#[derive(Debug)]
pub(super) struct Watcher {
    me: String,
    duration: Duration,
    seen: Option<Seen>,
    // Whether the Lease has ever been there.
    met: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Write the claim.
    Claim,
    /// It is held, at least until then.
    Wait(Instant),
}

impl Watcher {
    pub(super) fn new(me: String, duration: Duration) -> Self {
        Self { me, duration, seen: None, met: false }
    }

    pub(super) fn me(&self) -> &str {
        &self.me
    }

    /// Whether the record names this contender.
    pub(super) fn is_mine(&self, lease: &Lease) -> bool {
        holder(lease.spec.as_ref()) == Some(&self.me)
    }

    /// Takes what was read, at a time after the answer came; `leading` where the own term still runs.
    pub(super) fn look(&mut self, lease: Option<&Lease>, leading: bool, now: Instant) -> Next {
        self.met |= lease.is_some();
        let free = match lease {
            // A deleted Lease says nothing of its holder, who may not have noticed: only where there never was one, or
            // where the holder is this contender, is it made at once.
            None => leading || !self.met,
            Some(lease) => holder(lease.spec.as_ref()).is_none_or(|holder| *holder == self.me),
        };
        if free {
            self.seen = None;
            return Next::Claim;
        }
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let since = match &self.seen {
            Some(seen) if seen.spec.as_ref() == spec => seen.since,
            _ => {
                self.seen = Some(Seen { spec: spec.cloned(), since: now });
                now
            }
        };
        // The holder's own duration counts where it is longer than ours: replicas of two configurations may meet.
        let stated = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let expires = since + self.duration.max(Duration::from_secs(stated.unwrap_or(0)));
        if now >= expires { Next::Claim } else { Next::Wait(expires) }
    }

    /// The record has been claimed.
    pub(super) fn claimed(&mut self) {
        self.seen = None;
        self.met = true;
    }
}

/// The Lease with `me` as its holder as of `now`. Everything that is not ours to say is kept.
pub(super) fn claim(lease: Option<Lease>, name: &str, me: &str, seconds: i32, now: Timestamp) -> Lease {
    let existed = lease.is_some();
    let mut lease = lease.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    let spec = lease.spec.get_or_insert_default();
    // Others see a renewal by the change alone, so each differs from the last, whatever the wall clock does.
    let after = |last: &MicroTime| last.0.checked_add(SignedDuration::from_micros(1)).ok();
    let renewed = MicroTime(spec.renew_time.as_ref().and_then(after).map_or(now, |next| next.max(now)));
    if spec.holder_identity.as_deref() != Some(me) {
        spec.lease_transitions =
            Some(spec.lease_transitions.map_or(i32::from(existed), |count| count.saturating_add(1)));
        spec.holder_identity = Some(me.to_owned());
        spec.acquire_time = Some(renewed.clone());
    }
    spec.renew_time = Some(renewed);
    spec.lease_duration_seconds = Some(seconds);
    lease
}

/// The Lease given back: nobody holds it, and the count of transitions stays.
pub(super) fn vacate(mut lease: Lease) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    // As client-go leaves it: an old reader that looks at the duration alone waits no longer than this.
    spec.lease_duration_seconds = Some(1);
    lease
}

fn holder(spec: Option<&LeaseSpec>) -> Option<&String> {
    // client-go's older releases write an empty name where nobody holds the lease.
    spec?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}
