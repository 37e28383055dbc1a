//! Batches from requests one by one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use request_monitor::Size;
use request_monitor::records::Records;

const SIZE: Option<Size> = Some(Size { input: 100.0, output: 20.0 });

#[test]
fn arrivals_are_counted_when_they_come_and_sizes_when_they_are_known() {
    let mut records = Records::default();
    for at in [1.0, 4.0, 9.0] {
        records.arrived(at);
    }
    records.ended(9.5, SIZE);
    let first = records.batch(0.0, 10.0).unwrap();
    assert_eq!((first.from, first.arrivals, first.pending, first.completions()), (0.0, Some(3.0), Some(2.0), 1.0));
    records.ended(12.0, SIZE);
    records.ended(13.0, None);
    let second = records.batch(0.0, 20.0).unwrap();
    assert_eq!((second.from, second.arrivals, second.pending), (10.0, Some(0.0), Some(0.0)));
    assert_eq!(second.completions(), 1.0, "a request that failed has no size");
}

#[test]
fn what_lies_after_the_span_waits_and_what_came_late_is_not_lost() {
    let mut records = Records::default();
    records.arrived(15.0);
    records.arrived(5.0);
    assert_eq!(records.batch(0.0, 10.0).unwrap().arrivals, Some(1.0));
    records.arrived(8.0);
    assert_eq!(records.batch(0.0, 20.0).unwrap().arrivals, Some(2.0));
    assert_eq!(records.batch(0.0, 20.0), None, "no time passed");
    assert_eq!(records.batch(0.0, f64::NAN), None);
}

#[test]
fn sizes_that_are_no_numbers_are_ends_without_a_size() {
    let mut records = Records::default();
    records.arrived(f64::NAN);
    for size in [Size { input: f64::NAN, output: 1.0 }, Size { input: 1.0, output: -1.0 }] {
        records.arrived(1.0);
        records.ended(2.0, Some(size));
    }
    let batch = records.batch(0.0, 10.0).unwrap();
    assert_eq!((batch.arrivals, batch.sizes.len(), batch.pending), (Some(2.0), 0, Some(0.0)));
}

#[test]
fn of_more_than_can_wait_the_number_is_still_told() {
    let mut records = Records::default();
    let many = request_monitor::records::MAX_WAITING as u64 + 10;
    for at in 0..many {
        records.arrived(at as f64 * 1e-4);
    }
    let batch = records.batch(0.0, 1000.0).unwrap();
    assert_eq!((batch.arrivals, batch.pending), (Some(many as f64), Some(many as f64)));
}
