//! Bounds by the calendar: weekly windows in a time zone, daylight saving included. Zones come from the database that
//! is built in, never from the machine. Must not validate manifests: overlaps are refused before they come here.

use crate::spec::Bounds;
use crate::time::Timestamp;
use jiff::civil::Time;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The schedules of one autoscaler: one zone, no two at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedules {
    zone: TimeZone,
    entries: Vec<Schedule>,
}

/// One weekly window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The days it applies to, Monday first.
    pub days: [bool; 7],
    /// First minute of the day, inclusive (0..1440).
    pub start: u16,
    /// End minute of the day, exclusive, after `start`.
    pub end: u16,
    /// Fewest replicas while active; none leaves the base minimum.
    pub min: Option<u32>,
    /// Most replicas while active; none leaves the base maximum.
    pub max: Option<u32>,
}

/// Bounds at a time, and where they come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effective<'a> {
    /// The bounds.
    pub bounds: Bounds,
    /// The active schedule.
    pub active: Option<&'a Schedule>,
}

/// How far ahead the next edge is looked for: a week, and a day for the zone's own changes.
const HORIZON_DAYS: i32 = 8;

impl Default for Schedules {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, entries: Vec::new() }
    }
}

/// A zone that the built-in database does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownZone(pub String);

impl std::fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown time zone {:?}", self.0)
    }
}

impl std::error::Error for UnknownZone {}

impl Schedules {
    /// Schedules in an IANA time zone; the empty name is UTC.
    pub fn new(zone: &str, entries: Vec<Schedule>) -> Result<Self, UnknownZone> {
        let name = if zone.is_empty() { "UTC" } else { zone };
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone(zone.to_owned()))?;
        Ok(Self { zone, entries })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The schedule that is active at `now`.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> Option<&Schedule> {
        if self.entries.is_empty() {
            return None;
        }
        let local = jiff::Timestamp::from_microsecond(now.0).ok()?.to_zoned(self.zone.clone());
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).ok()?;
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        self.entries.iter().find(|entry| entry.days[day] && entry.start <= minute && minute < entry.end)
    }

    /// The bounds at `now`: the active schedule's over the base's. A schedule's minimum above the effective maximum
    /// (which validation refuses) lowers the minimum.
    #[must_use]
    pub fn effective(&self, now: Timestamp, base: Bounds) -> Effective<'_> {
        let active = self.active(now);
        let max = active.and_then(|entry| entry.max).unwrap_or(base.max);
        let min = active.and_then(|entry| entry.min).unwrap_or(base.min).min(max);
        Effective { bounds: Bounds { min, max }, active }
    }

    /// The next time that another schedule (or none) becomes active, within eight days.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        if self.entries.is_empty() {
            return None;
        }
        let current = self.active(now).map(|entry| &entry.name);
        let mut candidates = self.candidates(now)?;
        candidates.sort_unstable();
        candidates.into_iter().find(|&at| at > now && self.active(at).map(|entry| &entry.name) != current)
    }

    /// Every instant at which the active schedule may change: starts and ends on each day, both readings of an
    /// ambiguous wall time, and the zone's own transitions.
    fn candidates(&self, now: Timestamp) -> Option<Vec<Timestamp>> {
        let start = jiff::Timestamp::from_microsecond(now.0).ok()?;
        let today = start.to_zoned(self.zone.clone()).date();
        let mut found = Vec::new();
        for ahead in 0..=HORIZON_DAYS {
            let Ok(date) = today.checked_add(jiff::Span::new().days(ahead)) else { break };
            for minute in self.entries.iter().flat_map(|entry| [entry.start, entry.end]) {
                let (Ok(hour), Ok(rest)) = (i8::try_from(minute / 60), i8::try_from(minute % 60)) else { continue };
                let Ok(time) = Time::new(hour, rest, 0, 0) else { continue };
                let ambiguous = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
                found.extend([ambiguous.earlier(), ambiguous.later()].into_iter().flatten());
            }
        }
        let end = start.checked_add(jiff::SignedDuration::from_hours(24 * i64::from(HORIZON_DAYS))).ok()?;
        found.extend(self.zone.following(start).map(|change| change.timestamp()).take_while(|&at| at <= end));
        Some(found.into_iter().map(|at| Timestamp(at.as_microsecond())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(days: &[usize], start: u16, end: u16) -> Schedule {
        let mut set = [false; 7];
        for &day in days {
            set[day] = true;
        }
        Schedule { name: format!("from-{start}"), days: set, start, end, min: Some(3), max: None }
    }

    fn utc(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    const BASE: Bounds = Bounds { min: 1, max: 9 };

    #[test]
    fn the_start_is_inclusive_and_the_end_exclusive() {
        let schedules = Schedules::new("Europe/Berlin", vec![schedule(&[0], 9 * 60, 17 * 60)]).unwrap();
        let min = |text| schedules.effective(utc(text), BASE).bounds.min;
        assert_eq!(min("2026-01-05T07:59:59Z"), 1);
        assert_eq!(min("2026-01-05T08:00:00Z"), 3);
        assert_eq!(min("2026-01-05T15:59:59Z"), 3);
        assert_eq!(min("2026-01-05T16:00:00Z"), 1);
        assert_eq!(min("2026-01-06T10:00:00Z"), 1, "Tuesday");
        assert_eq!(schedules.next_edge(utc("2026-01-05T10:00:00Z")), Some(utc("2026-01-05T16:00:00Z")));
    }

    #[test]
    fn a_start_inside_the_spring_gap_begins_when_the_gap_ends() {
        let schedules = Schedules::new("Europe/Berlin", vec![schedule(&[6], 2 * 60 + 30, 5 * 60)]).unwrap();
        assert_eq!(schedules.next_edge(utc("2026-03-29T00:00:00Z")), Some(utc("2026-03-29T01:00:00Z")));
        assert!(schedules.active(utc("2026-03-29T01:00:00Z")).is_some());
    }

    #[test]
    fn the_edge_is_the_wall_clocks_on_the_day_of_the_change() {
        let schedules = Schedules::new("America/New_York", vec![schedule(&[6], 9 * 60, 10 * 60)]).unwrap();
        assert_eq!(schedules.next_edge(utc("2026-11-01T00:00:00Z")), Some(utc("2026-11-01T14:00:00Z")));
        assert_eq!(schedules.next_edge(utc("2026-03-08T00:00:00Z")), Some(utc("2026-03-08T13:00:00Z")));
    }

    #[test]
    fn every_edge_is_where_a_walk_by_the_minute_finds_it() {
        for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"] {
            let schedules =
                Schedules::new(zone, vec![schedule(&[0, 5, 6], 90, 150), schedule(&[6], 180, 200)]).unwrap();
            for start in
                ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z", "2026-04-04T09:00:00Z", "2026-10-31T22:00:00Z"]
            {
                let mut now = utc(start);
                for _ in 0..6 {
                    let current = schedules.active(now).cloned();
                    let walked = (1..=8 * 1440)
                        .map(|minute| Timestamp(now.0 - now.0 % 60_000_000 + minute * 60_000_000))
                        .find(|&at| schedules.active(at).cloned() != current);
                    let found = schedules.next_edge(now);
                    assert_eq!(found, walked, "{zone} after {now:?}");
                    now = found.unwrap();
                }
            }
        }
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert_eq!(Schedules::new("Mars/Olympus", vec![]), Err(UnknownZone("Mars/Olympus".into())));
    }
}
