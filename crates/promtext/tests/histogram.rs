//! Quantiles and means, against hand-computed answers and the rules of Prometheus.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use promtext::{Bucket, Histogram, Page, Selection};

const INF: f64 = f64::INFINITY;

fn histogram(buckets: &[(f64, f64)]) -> Histogram {
    let buckets = buckets.iter().map(|(upper, cumulative)| Bucket { upper: *upper, cumulative: *cumulative }).collect();
    Histogram::new(buckets, None, None)
}

#[test]
fn a_quantile_is_interpolated_inside_its_bucket() {
    let h = histogram(&[(1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (INF, 40.0)]);
    for (q, expected) in [(0.0, 0.0), (0.125, 0.5), (0.25, 1.0), (0.5, 2.0), (0.75, 3.0), (1.0, 4.0)] {
        assert_eq!(h.quantile(q), Some(expected), "q = {q}");
    }
}

#[test]
fn a_quantile_in_the_infinite_bucket_is_the_highest_finite_bound() {
    assert_eq!(histogram(&[(1.0, 5.0), (2.0, 5.0), (INF, 10.0)]).quantile(0.99), Some(2.0));
}

#[test]
fn there_is_no_quantile_without_observations_or_without_an_infinite_bucket() {
    assert_eq!(histogram(&[(1.0, 0.0), (INF, 0.0)]).quantile(0.5), None);
    assert_eq!(histogram(&[(1.0, 5.0), (2.0, 5.0)]).quantile(0.5), None);
    assert_eq!(histogram(&[(INF, 5.0)]).quantile(0.5), None);
    assert_eq!(Histogram::default().quantile(0.5), None);
    let h = histogram(&[(1.0, 5.0), (INF, 5.0)]);
    assert_eq!((h.quantile(1.1), h.quantile(-0.1), h.quantile(f64::NAN)), (None, None, None));
}

#[test]
fn the_lowest_bucket_begins_at_zero_unless_its_bound_is_not_positive() {
    assert_eq!(histogram(&[(10.0, 10.0), (INF, 10.0)]).quantile(0.5), Some(5.0));
    assert_eq!(histogram(&[(-1.0, 10.0), (INF, 10.0)]).quantile(0.5), Some(-1.0));
}

#[test]
fn buckets_out_of_order_repeated_or_falling_are_put_right() {
    let h = histogram(&[(INF, 10.0), (2.0, 4.0), (1.0, 5.0), (1.0, 5.0), (f64::NAN, 3.0), (3.0, f64::NAN)]);
    let found: Vec<_> = h.buckets().iter().map(|bucket| (bucket.upper, bucket.cumulative)).collect();
    assert_eq!(found, [(1.0, 5.0), (2.0, 5.0), (INF, 10.0)]);
}

#[test]
fn the_increase_between_two_scrapes_is_a_histogram_of_its_own() {
    let before =
        Histogram::new(histogram(&[(1.0, 90.0), (2.0, 90.0), (INF, 90.0)]).buckets().to_vec(), Some(9.0), Some(90.0));
    let now = Histogram::new(
        histogram(&[(1.0, 90.0), (2.0, 100.0), (INF, 100.0)]).buckets().to_vec(),
        Some(24.0),
        Some(100.0),
    );
    let increase = now.since(&before).unwrap();
    assert_eq!((increase.count(), increase.mean(), increase.quantile(0.5)), (Some(10.0), Some(1.5), Some(1.5)));
    assert!(before.since(&now).is_err(), "a fall is a reset and no negative increase");
    assert_eq!(now.since(&now).unwrap().mean(), None);
}

#[test]
fn histograms_with_different_bounds_add_over_the_common_ones() {
    let sum = histogram(&[(1.0, 1.0), (2.0, 2.0), (INF, 3.0)]).plus(&histogram(&[(1.0, 1.0), (5.0, 3.0), (INF, 3.0)]));
    let found: Vec<_> = sum.buckets().iter().map(|bucket| (bucket.upper, bucket.cumulative)).collect();
    assert_eq!(found, [(1.0, 2.0), (INF, 6.0)]);
}

#[test]
fn series_of_one_family_are_kept_apart_even_when_their_lines_are_mixed() {
    let text = "h_bucket{m=\"a\",le=\"1\"} 1\nh_bucket{m=\"b\",le=\"1\"} 2\nh_bucket{le=\"+Inf\",m=\"a\"} 1\n\
                h_bucket{le=\"+Inf\",m=\"b\"} 4\nh_bucket{m=\"b\",le=\"wide\"} 4\nh_sum{m=\"b\"} 6\nh_count{m=\"b\"} 4\n";
    let page = Page::read(text.as_bytes(), &Selection::new(["h"])).unwrap();
    let found: Vec<_> = page
        .family("h")
        .unwrap()
        .histograms()
        .into_iter()
        .map(|(first, h)| (first.labels.get("m").unwrap().into_owned(), h.count(), h.mean(), h.buckets().len()))
        .collect();
    assert_eq!(found, [("a".into(), Some(1.0), None, 2), ("b".into(), Some(4.0), Some(1.5), 2)]);
}

#[test]
fn a_fall_of_the_sum_or_of_one_bucket_is_a_reset_although_the_count_grew() {
    let with = |low: f64, sum: f64, count: f64| {
        let buckets = histogram(&[(1.0, low), (INF, count)]).buckets().to_vec();
        Histogram::new(buckets, Some(sum), Some(count))
    };
    let before = with(5.0, 100.0, 5.0);
    assert!(with(6.0, 3.0, 6.0).since(&before).is_err());
    assert!(with(4.0, 120.0, 6.0).since(&before).is_err());
    assert!(with(5.0, 120.0, 6.0).since(&before).is_ok());
}

#[test]
fn of_a_repeated_bound_the_last_one_counts() {
    let h = histogram(&[(1.0, 9.0), (1.0, 5.0), (INF, 6.0)]);
    assert_eq!(h.buckets()[0], Bucket { upper: 1.0, cumulative: 5.0 });
    assert!(h.has_infinite_bucket() && !histogram(&[(1.0, 1.0)]).has_infinite_bucket());
}
