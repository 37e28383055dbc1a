//! Schedules: AIBrix's rules in AIBrix's order, each of them reported and not only the first. Time zones come from the
//! bundled database, so that a machine without one reads a manifest the same way.

use super::bounds::zero;
use crate::diagnostics::{Diagnostic, nearest, quote};
use crate::v1alpha1::{PodAutoscalerSpec, Schedule};
use jiff::tz::TimeZoneDatabase;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Weekdays as the manifest abbreviates them, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Schedules that are compared pairwise: as many as the CRD allows.
const MAX_COMPARED: usize = 128;

/// Names of the bundled database, as they are spelled there.
static ZONES: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect());

pub(super) fn schedules(spec: &PodAutoscalerSpec, found: &mut Vec<Diagnostic>) {
    let Some(schedules) = &spec.schedules else { return };
    if schedules.is_empty() {
        found.push(
            Diagnostic::error("spec.schedules", "must not be empty").allowed("at least one entry, or leave it out"),
        );
        return;
    }
    let first = zone_name(&schedules[0]);
    let mut names = BTreeSet::new();
    for (index, schedule) in schedules.iter().enumerate() {
        let path = format!("spec.schedules[{index}]");
        timezone(schedule, first, &path, found);
        name(schedule, &path, found);
        days(schedule, &path, found);
        times(schedule, &path, found);
        bounds(schedule, spec, &path, found);
        if !names.insert(&schedule.name) {
            found.push(Diagnostic::error(format!("{path}.name"), format!("{} is used twice", quote(&schedule.name))));
        }
    }
    overlaps(schedules, found);
}

/// The zone's name; UTC where it is absent or empty.
pub(crate) fn zone_name(schedule: &Schedule) -> &str {
    schedule.timezone.as_deref().filter(|name| !name.is_empty()).unwrap_or("UTC")
}

fn timezone(schedule: &Schedule, first: &str, path: &str, found: &mut Vec<Diagnostic>) {
    let (name, path) = (zone_name(schedule), format!("{path}.timezone"));
    if name != first {
        let message = format!("{} differs from the first schedule's {}", quote(name), quote(first));
        found.push(Diagnostic::error(&path, message).allowed("one time zone for all schedules, spelled alike"));
    }
    if name == "Local" {
        found.push(Diagnostic::warning(&path, "\"Local\" is read as UTC").allowed("an IANA name"));
    } else if !ZONES.contains(name) {
        // Go opens a file of this name, so "europe/berlin" is unknown to AIBrix, and here.
        let hint = nearest(name, ZONES.iter().map(String::as_str)).map(|name| format!("; did you mean {name}?"));
        let message = format!("unknown time zone {}{}", quote(name), hint.unwrap_or_default());
        found.push(Diagnostic::error(&path, message).allowed("an IANA name such as Europe/Berlin"));
    }
}

fn name(schedule: &Schedule, path: &str, found: &mut Vec<Diagnostic>) {
    let bytes = schedule.name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    if !ends || !bytes.iter().all(|byte| plain(byte) || *byte == b'-') {
        found.push(
            Diagnostic::error(format!("{path}.name"), format!("{} is not a name", quote(&schedule.name)))
                .allowed("lower-case letters, digits and inner hyphens"),
        );
    }
}

/// The weekdays, Monday first; every day where none is named. None where a name is unknown.
pub(crate) fn weekdays(schedule: &Schedule) -> Option<[bool; 7]> {
    let Some(names) = &schedule.days_of_week else { return Some([true; 7]) };
    let mut days = [false; 7];
    for name in names {
        days[day(name)?] = true;
    }
    Some(days)
}

fn day(name: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(name))
}

fn days(schedule: &Schedule, path: &str, found: &mut Vec<Diagnostic>) {
    let Some(names) = &schedule.days_of_week else { return };
    if names.is_empty() {
        let allowed = "at least one weekday, or leave it out for every day";
        found.push(Diagnostic::error(format!("{path}.daysOfWeek"), "must not be empty").allowed(allowed));
    }
    for (index, name) in names.iter().enumerate().filter(|(_, name)| day(name).is_none()) {
        found.push(
            Diagnostic::error(format!("{path}.daysOfWeek[{index}]"), format!("{} is not a weekday", quote(name)))
                .allowed("Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        );
    }
}

/// `HH:MM` as the minute of the day.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let bytes = text.as_bytes();
    let digits = [bytes.first()?, bytes.get(1)?, bytes.get(3)?, bytes.get(4)?];
    if bytes.len() != 5 || bytes[2] != b':' || !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let [h, hh, m, mm] = digits.map(|digit| u16::from(digit - b'0'));
    let (hour, minute) = (h * 10 + hh, m * 10 + mm);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn times(schedule: &Schedule, path: &str, found: &mut Vec<Diagnostic>) {
    let (start, end) = (minute(&schedule.start_time), minute(&schedule.end_time));
    for (field, text, value) in [("startTime", &schedule.start_time, start), ("endTime", &schedule.end_time, end)] {
        if value.is_none() {
            found.push(
                Diagnostic::error(format!("{path}.{field}"), format!("{} is not a time of day", quote(text)))
                    .allowed("HH:MM, 00:00 to 23:59"),
            );
        }
    }
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        let message = format!("{} is not before endTime {}", schedule.start_time, schedule.end_time);
        let allowed = "a window within one day; write two schedules for one that crosses midnight";
        found.push(Diagnostic::error(format!("{path}.startTime"), message).allowed(allowed));
    }
}

fn bounds(schedule: &Schedule, spec: &PodAutoscalerSpec, path: &str, found: &mut Vec<Diagnostic>) {
    if schedule.min_replicas.is_none() && schedule.max_replicas.is_none() {
        found.push(Diagnostic::error(path, "needs minReplicas or maxReplicas"));
        return;
    }
    let min = schedule.min_replicas.unwrap_or(spec.min());
    let max = schedule.max_replicas.unwrap_or(spec.max_replicas);
    if schedule.min_replicas.is_some() && min < 0 {
        let message = format!("must not be negative, is {min}");
        found.push(Diagnostic::error(format!("{path}.minReplicas"), message).allowed("0 or more"));
    }
    if schedule.max_replicas.is_some() && max <= 0 {
        let message = format!("must be above 0, is {max}");
        found.push(Diagnostic::error(format!("{path}.maxReplicas"), message).allowed("1 or more"));
    } else if min > max && max > 0 {
        let field = if schedule.min_replicas.is_some() { "minReplicas" } else { "maxReplicas" };
        let message = format!("while this schedule is active minReplicas is {min}, above maxReplicas {max}");
        found.push(Diagnostic::error(format!("{path}.{field}"), message));
    }
    zero(spec, &format!("{path}.minReplicas"), schedule.min_replicas, found);
}

/// Each pair that shares a weekday and a minute. Windows that touch do not overlap.
fn overlaps(schedules: &[Schedule], found: &mut Vec<Diagnostic>) {
    let windows: Vec<_> = schedules.iter().take(MAX_COMPARED).map(window).collect();
    for (later, b) in windows.iter().enumerate() {
        let Some((days, start, end)) = b else { continue };
        for (earlier, a) in windows[..later].iter().enumerate() {
            let Some((other, from, to)) = a else { continue };
            if !(days.iter().zip(other).any(|(a, b)| *a && *b) && start < to && from < end) {
                continue;
            }
            let [b, a] = [later, earlier].map(|index| quote(&schedules[index].name));
            let message = format!("{b} overlaps {a} (spec.schedules[{earlier}])");
            let overlap = Diagnostic::error(format!("spec.schedules[{later}]"), message);
            found.push(overlap.allowed("windows that at most touch"));
        }
    }
}

fn window(schedule: &Schedule) -> Option<([bool; 7], u16, u16)> {
    let (start, end) = (minute(&schedule.start_time)?, minute(&schedule.end_time)?);
    (start < end).then_some((weekdays(schedule)?, start, end))
}
