//! Every schedule rule of the reference by name, in AIBrix's order.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use common::{accepted, errors, only_error, resolved, said, with_spec};
use serde_json::{Value, json};

fn entry(fields: Value) -> Value {
    let mut entry = json!({"name": "day", "startTime": "08:00", "endTime": "18:00", "minReplicas": 2});
    for (key, value) in fields.as_object().unwrap() {
        if value.is_null() {
            entry.as_object_mut().unwrap().remove(key);
        } else {
            entry[key] = value.clone();
        }
    }
    entry
}

fn with(entries: &[Value]) -> Value {
    with_spec("APA", json!({"schedules": entries}))
}

fn refused(entries: &[Value], path: &str, message: &str) {
    let found = errors(&with(entries));
    assert!(
        found.iter().any(|(at, said)| at == path && said.contains(message)),
        "wanted {path}: {message}, found {found:#?}"
    );
}

const AT: &str = "spec.schedules[0]";

#[test]
fn an_empty_list_is_refused() {
    refused(&[], "spec.schedules", "must not be empty");
}

#[test]
fn all_entries_share_the_text_of_the_first_timezone() {
    let night = json!({"name": "night", "startTime": "20:00", "endTime": "21:00"});
    let other = |zone: Value| {
        let mut entry = entry(night.clone());
        entry["timezone"] = zone;
        entry
    };
    refused(&[entry(json!({})), other(json!("Europe/Berlin"))], "spec.schedules[1].timezone", "differs from the first");
    refused(&[entry(json!({})), other(json!("Etc/UTC"))], "spec.schedules[1].timezone", "differs from the first");
    accepted(&with(&[entry(json!({})), other(json!("UTC"))]));
    accepted(&with(&[entry(json!({"timezone": ""})), other(json!("UTC"))]));
}

#[test]
fn a_name_is_lower_case_letters_digits_and_inner_hyphens() {
    for name in ["Day", "-day", "day-", "a_b", "a.b", "ü"] {
        refused(&[entry(json!({"name": name}))], "spec.schedules[0].name", "is not a name");
    }
    refused(&[entry(json!({"name": ""}))], "spec.schedules[0].name", "must not be empty");
    refused(&[entry(json!({"name": null}))], "spec.schedules[0].name", "is required");
    for name in ["d", "9", "work-day-1"] {
        accepted(&with(&[entry(json!({"name": name}))]));
    }
}

#[test]
fn the_timezone_is_in_the_bundled_database() {
    refused(&[entry(json!({"timezone": "Europe/Berlinn"}))], &format!("{AT}.timezone"), "did you mean Europe/Berlin?");
    refused(&[entry(json!({"timezone": "Mars/Olympus"}))], &format!("{AT}.timezone"), "unknown time zone");
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC", "Etc/GMT+5", "Local"] {
        accepted(&with(&[entry(json!({"timezone": zone}))]));
    }
    for zone in ["", "UTC", "Local"] {
        assert_eq!(resolved(&with(&[entry(json!({"timezone": zone}))])).timezone, "UTC", "{zone:?}, as in AIBrix");
    }
    assert_eq!(resolved(&with(&[entry(json!({}))])).timezone, "UTC");
    assert_eq!(resolved(&with(&[entry(json!({"timezone": "Asia/Tokyo"}))])).timezone, "Asia/Tokyo");
}

#[test]
fn a_timezone_has_the_case_that_go_asks_for() {
    for (zone, right) in [
        ("europe/berlin", "Europe/Berlin"),
        ("EUROPE/BERLIN", "Europe/Berlin"),
        ("utc", "UTC"),
        ("america/new_york", "America/New_York"),
        ("local", "UTC"),
    ] {
        let found = only_error(&with(&[entry(json!({"timezone": zone}))]));
        assert!(found.starts_with(&format!("{AT}.timezone: unknown time zone {zone:?}")), "{found}");
        assert!(zone == "local" || found.contains(&format!("did you mean {right}?")), "{found}");
    }
}

#[test]
fn weekdays_are_three_letters_in_either_case() {
    for day in ["Monday", "Mo", "", "Mittwoch", "8"] {
        refused(&[entry(json!({"daysOfWeek": ["Tue", day]}))], &format!("{AT}.daysOfWeek[1]"), "is not a weekday");
    }
    refused(&[entry(json!({"daysOfWeek": []}))], &format!("{AT}.daysOfWeek"), "must not be empty");
    let resolved = resolved(&with(&[entry(json!({"daysOfWeek": ["mon", "SUN", "Sun"]}))]));
    assert_eq!(resolved.schedules[0].days, [true, false, false, false, false, false, true]);
}

#[test]
fn without_weekdays_every_day_counts() {
    assert_eq!(resolved(&with(&[entry(json!({}))])).schedules[0].days, [true; 7]);
}

#[test]
fn start_and_end_are_strict_hh_mm() {
    for text in ["8:00", "08:0", "08.00", "0800", "24:00", "08:60", "08:00:00", " 08:00", "٠٨:٠٠", ""] {
        refused(&[entry(json!({"startTime": text}))], &format!("{AT}.startTime"), "is not a time of day");
        refused(&[entry(json!({"endTime": text}))], &format!("{AT}.endTime"), "is not a time of day");
    }
    let schedule = resolved(&with(&[entry(json!({"startTime": "00:00", "endTime": "23:59"}))])).schedules.remove(0);
    assert_eq!((schedule.start, schedule.end), (0, 1439));
}

#[test]
fn start_is_before_end_and_no_window_crosses_midnight() {
    refused(&[entry(json!({"startTime": "18:00"}))], &format!("{AT}.startTime"), "is not before endTime");
    refused(&[entry(json!({"startTime": "22:00", "endTime": "06:00"}))], &format!("{AT}.startTime"), "is not before");
}

#[test]
fn at_least_one_bound_is_given() {
    refused(&[entry(json!({"minReplicas": null}))], AT, "needs minReplicas or maxReplicas");
    accepted(&with(&[entry(json!({"minReplicas": null, "maxReplicas": 3}))]));
}

#[test]
fn the_effective_minimum_is_not_negative() {
    refused(&[entry(json!({"minReplicas": -1}))], &format!("{AT}.minReplicas"), "must not be negative");
    accepted(&with(&[entry(json!({"minReplicas": 0}))]));
}

#[test]
fn the_effective_maximum_is_above_zero() {
    refused(&[entry(json!({"maxReplicas": 0, "minReplicas": 0}))], &format!("{AT}.maxReplicas"), "must be above 0");
}

#[test]
fn the_effective_minimum_is_not_above_the_effective_maximum() {
    refused(&[entry(json!({"minReplicas": 11}))], &format!("{AT}.minReplicas"), "is 11, above maxReplicas 10");
    refused(&[entry(json!({"minReplicas": 5, "maxReplicas": 4}))], &format!("{AT}.minReplicas"), "is 5, above");
    let low = with_spec(
        "APA",
        json!({"minReplicas": 3, "schedules": [entry(json!({"minReplicas": null, "maxReplicas": 2}))]}),
    );
    assert!(only_error(&low).starts_with(&format!("{AT}.maxReplicas: while this schedule is active minReplicas is 3")));
    accepted(&with(&[entry(json!({"minReplicas": 12, "maxReplicas": 20}))]));
}

#[test]
fn names_are_unique() {
    let later = entry(json!({"startTime": "19:00", "endTime": "20:00"}));
    refused(&[entry(json!({})), later], "spec.schedules[1].name", "is used twice");
}

#[test]
fn windows_that_share_a_weekday_and_a_minute_overlap() {
    let b = |fields: Value| {
        let mut b = json!({"name": "b"});
        b.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        entry(b)
    };
    refused(
        &[entry(json!({})), b(json!({"startTime": "17:59", "endTime": "20:00"}))],
        "spec.schedules[1]",
        "overlaps \"day\"",
    );
    refused(
        &[entry(json!({"daysOfWeek": ["Mon", "Tue"]})), b(json!({"daysOfWeek": ["tue"]}))],
        "spec.schedules[1]",
        "\"b\" overlaps \"day\" (spec.schedules[0])",
    );
}

#[test]
fn every_pair_that_overlaps_is_named() {
    let of = |name: &str, start: &str, end: &str| entry(json!({"name": name, "startTime": start, "endTime": end}));
    let found = errors(&with(&[of("a", "08:00", "12:00"), of("b", "11:00", "14:00"), of("c", "11:30", "13:00")]));
    let said: Vec<_> = found.iter().map(|(path, said)| format!("{path}: {said}")).collect();
    assert_eq!(
        said,
        [
            "spec.schedules[1]: \"b\" overlaps \"a\" (spec.schedules[0])",
            "spec.schedules[2]: \"c\" overlaps \"a\" (spec.schedules[0])",
            "spec.schedules[2]: \"c\" overlaps \"b\" (spec.schedules[1])",
        ]
    );
}

#[test]
fn more_schedules_than_the_definition_allows_are_refused() {
    let found = errors(&with(&vec![entry(json!({})); 129]));
    assert!(found.contains(&("spec.schedules".to_owned(), "has 129 entries, more than the 128 allowed".to_owned())));
}

#[test]
fn touching_windows_and_other_weekdays_do_not_overlap() {
    accepted(&with(&[entry(json!({})), entry(json!({"name": "b", "startTime": "18:00", "endTime": "20:00"}))]));
    accepted(&with(&[entry(json!({"daysOfWeek": ["Mon"]})), entry(json!({"name": "b", "daysOfWeek": ["Tue"]}))]));
}

#[test]
fn every_broken_rule_is_reported_and_not_only_the_first() {
    let entry = json!({"name": "A", "timezone": "X/Y", "daysOfWeek": ["x"], "startTime": "1", "endTime": "2"});
    assert_eq!(errors(&with(&[entry])).len(), 6);
}

#[test]
fn a_minimum_of_zero_under_hpa_follows_the_sources() {
    let zero = json!({"schedules": [entry(json!({"minReplicas": 0}))]});
    let pods = with_spec("HPA", zero.clone());
    assert_eq!(resolved(&pods).schedules[0].min, Some(1));
    assert!(said(&pods, &format!("{AT}.minReplicas"))[0].contains("0 is read as 1"));
    assert_eq!(resolved(&with_spec("APA", zero)).schedules[0].min, Some(0));
}
