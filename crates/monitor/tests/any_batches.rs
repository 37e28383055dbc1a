//! Whatever sources say: finite, bounded, nothing twice.

#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "helpers of tests")]

mod common;

use common::Stream;
use proptest::prelude::*;
use request_monitor::{Batch, MAX_RATE, Monitor, Outcome, Refused, Settings, Size, State};

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..1e4_f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, -0.0, 1e-300, 1e18, f64::MAX]),
        1 => any::<f64>(),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let time = || prop_oneof![12 => 0.0..2000.0_f64, 1 => number()];
    let sizes = prop::collection::vec(((number(), number()), number()), 0..12);
    let maybe = || prop::option::of(number());
    (time(), time(), maybe(), sizes, maybe(), maybe()).prop_map(
        |(a, b, arrivals, sizes, pending, queued): (f64, f64, _, Vec<((f64, f64), f64)>, _, _)| {
            let sizes = sizes.into_iter().map(|((input, output), count)| (Size { input, output }, count)).collect();
            Batch { from: a.min(b), to: a.max(b), arrivals, sizes, pending, queued }
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let any = (number(), number(), number(), any::<u32>(), prop_oneof![0..20_usize, any::<usize>()]);
    let any = any.prop_map(|(half_life, mix_half_life, change, cells_per_octave, max_cells)| Settings {
        half_life,
        mix_half_life,
        change,
        cells_per_octave,
        max_cells,
    });
    prop_oneof![2 => Just(Settings::default()), 1 => any]
}

proptest! {
    #[test]
    fn any_batches_give_a_sound_load(settings in settings(), batches in prop::collection::vec(batch(), 0..60), now in number()) {
        let mut monitor = Monitor::new(settings);
        for batch in &batches {
            if let Outcome::Taken { share } = monitor.add(batch) {
                prop_assert!(share > 0.0 && share <= 1.0);
            }
        }
        let load = monitor.load(now);
        prop_assert!(load.rate >= 0.0 && load.rate <= MAX_RATE * 1.001, "rate {}", load.rate);
        prop_assert!((0.0..=1.0).contains(&load.confidence) && (0.0..=1.0).contains(&load.rate_error));
        prop_assert!(load.samples >= 0.0 && load.samples.is_finite());
        prop_assert!(load.sizes.len() <= settings.sound().max_cells);
        prop_assert!(load.age >= 0.0);
        for size in &load.sizes {
            let tokens = 0.0..=16_777_217.0;
            prop_assert!(tokens.contains(&size.input) && tokens.contains(&size.output), "{size:?}");
            prop_assert!(size.rate.is_finite() && size.rate >= 0.0);
        }
        for load in [load.clone(), load.at_most(3)] {
            let sum: f64 = load.sizes.iter().map(|size| size.rate).sum();
            prop_assert!(load.sizes.is_empty() || (sum - load.rate).abs() <= 1e-9 * load.rate, "{sum} of {}", load.rate);
        }
        let text = serde_json::to_string(&monitor.state()).unwrap();
        prop_assert!(text.len() < 2 << 20);
        let state: State = serde_json::from_str(&text).unwrap();
        let restored = Monitor::restore(state);
        prop_assert_eq!(restored.as_ref(), Some(&monitor));
    }

    #[test]
    fn no_request_is_counted_twice(
        spans in prop::collection::vec((0..60_u32, 1..30_u32), 1..40), order in any::<prop::sample::Index>(),
    ) {
        // A source that counted one request each second, told in any overlapping pieces.
        let mut monitor = Monitor::new(Settings::default());
        let mut spans = spans;
        let first = order.index(spans.len());
        spans.rotate_left(first);
        for (from, seconds) in &spans {
            let from = f64::from(*from);
            let seconds = f64::from(*seconds);
            monitor.add(&Batch { arrivals: Some(seconds), ..Batch::new(from, from + seconds) });
        }
        prop_assert!((monitor.load(100.0).rate - 1.0).abs() < 1e-6);
    }

    #[test]
    fn any_state_is_restored_sound_or_not_at_all(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut stream, mut monitor) = (Stream::new(1), Monitor::new(Settings::default()));
        stream.feed(&mut monitor, 60.0, 5.0, 3.0);
        let mut text = serde_json::to_vec(&monitor.state()).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(state) = serde_json::from_slice::<State>(&text)
            && let Some(mut monitor) = Monitor::restore(state)
        {
            stream.feed(&mut monitor, 10.0, 5.0, 3.0);
            let load = monitor.load(70.0);
            prop_assert!(load.rate.is_finite() && load.rate >= 0.0 && load.sizes.iter().all(|size| size.rate.is_finite()));
        }
    }
}

fn of(from: f64, to: f64, arrivals: f64) -> Batch {
    Batch { arrivals: Some(arrivals), ..Batch::new(from, to) }
}

#[test]
fn what_cannot_be_believed_is_refused_and_says_why() {
    let mut monitor = Monitor::new(Settings::default());
    monitor.add(&of(1000.0, 1010.0, 10.0));
    let before = monitor.clone();
    let table = [
        (of(1010.0, 1010.0, 1.0), Refused::Span),
        (of(1020.0, 1010.0, 1.0), Refused::Span),
        (of(f64::NAN, 1020.0, 1.0), Refused::Span),
        (of(1010.0, f64::INFINITY, 1.0), Refused::Span),
        (of(1010.0, 101_010.0, 1.0), Refused::TooLong),
        (of(1000.0, 1010.0, 10.0), Refused::Covered),
        (of(1003.0, 1004.0, 10.0), Refused::Covered),
        (of(1010.0, 1020.0, -1.0), Refused::Count),
        (of(1010.0, 1020.0, f64::NAN), Refused::Count),
        (of(1010.0, 1020.0, 1e9), Refused::Count),
        (Batch { pending: Some(-1.0), ..of(1010.0, 1020.0, 1.0) }, Refused::Count),
        (Batch { sizes: vec![(Size { input: 1.0, output: 1.0 }, 1e300)], ..of(1010.0, 1020.0, 1.0) }, Refused::Count),
        (Batch::new(1010.0, 1020.0), Refused::Silent),
    ];
    for (batch, refused) in table {
        assert_eq!(monitor.add(&batch), Outcome::Refused(refused), "{batch:?}");
        assert_eq!(monitor, before, "{refused}");
    }
}

#[test]
fn overlaps_count_once_and_late_spans_fill_gaps() {
    let mut monitor = Monitor::new(Settings::default());
    monitor.add(&of(0.0, 10.0, 100.0));
    assert_eq!(monitor.add(&of(5.0, 15.0, 100.0)), Outcome::Taken { share: 0.5 });
    monitor.add(&of(30.0, 40.0, 100.0));
    assert_eq!(monitor.add(&of(15.0, 30.0, 150.0)), Outcome::Taken { share: 1.0 });
    let load = monitor.load(40.0);
    assert!((load.rate - 10.0).abs() < 1e-9 && load.age == 0.0);
}

#[test]
fn where_only_completions_are_known_the_change_of_backlog_is_added() {
    let done = |from: f64, count: f64, pending: Option<f64>| Batch {
        sizes: vec![(Size { input: 100.0, output: 10.0 }, count)],
        pending,
        ..Batch::new(from, from + 10.0)
    };
    let mut monitor = Monitor::new(Settings::default());
    // 100 come in each span and 60 are done. The backlog before the first span is not known.
    for (span, pending) in [40.0, 80.0, 120.0, 160.0].into_iter().enumerate() {
        monitor.add(&done(span as f64 * 10.0, 60.0, Some(pending)));
    }
    let load = monitor.load(40.0);
    assert!(load.rate > 8.9 && load.rate < 10.0, "{}", load.rate);
    assert_eq!(load.pending, Some(160.0));
    // The backlog vanishes, as when engines crash: not negative, and not held against those who come later.
    monitor.add(&done(40.0, 60.0, Some(0.0)));
    for span in 5..11 {
        monitor.add(&done(f64::from(span) * 10.0, 100.0, Some(0.0)));
    }
    let rate = monitor.load(110.0).rate;
    assert!((8.0..=10.5).contains(&rate), "{rate}");
}

#[test]
fn a_clock_that_was_set_back_is_believed_after_a_while() {
    let mut monitor = Monitor::new(Settings::default());
    monitor.add(&of(1e9, 1e9 + 10.0, 500.0));
    let outcomes: Vec<Outcome> =
        (0..6_u32).map(|n| monitor.add(&of(f64::from(n) * 10.0, f64::from(n + 1) * 10.0, 10.0))).collect();
    assert_eq!(outcomes[..4], [Outcome::Refused(Refused::TooOld); 4]);
    assert_eq!(outcomes[4..], [Outcome::Taken { share: 1.0 }; 2]);
    let load = monitor.load(60.0);
    assert_eq!((load.rate, load.age), (1.0, 0.0));
}

#[test]
fn a_restored_monitor_goes_on_as_the_original_and_knows_its_age() {
    let (mut stream, mut monitor) = (Stream::new(2), Monitor::new(Settings::default()));
    stream.feed(&mut monitor, 400.0, 1.0, 8.0);
    let text = serde_json::to_string(&monitor.state()).unwrap();
    let mut restored = Monitor::restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(restored.load(1000.0), monitor.load(1000.0));
    assert_eq!(restored.load(1000.0).age, 600.0);
    let batch = stream.batch(10.0, 8.0, &common::BIMODAL);
    assert_eq!(restored.add(&batch), monitor.add(&batch));
    assert_eq!(restored, monitor);
    let other = text.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(Monitor::restore(serde_json::from_str(&other).unwrap()), None);
}

#[test]
fn memory_is_bounded_however_small_the_batches_and_however_scattered_the_sizes() {
    let (mut stream, mut monitor) = (Stream::new(3), Monitor::new(Settings::default()));
    for n in 0..20_000_u32 {
        let from = f64::from(n) * 0.3;
        let size = Size { input: (24.0 * stream.uniform()).exp2(), output: (24.0 * stream.uniform()).exp2() };
        let to = if n % 7 == 0 { from + 0.1 } else { from + 0.3 };
        monitor.add(&Batch { arrivals: Some(1.0), sizes: vec![(size, 1.0)], ..Batch::new(from, to) });
    }
    assert_eq!(monitor.load(6000.0).sizes.len(), 256);
    let bytes = serde_json::to_string(&monitor.state()).unwrap().len();
    assert!(bytes < 128 << 10, "{bytes} bytes of state");
}

#[test]
fn sources_of_one_span_are_added_up_before() {
    let size = Size { input: 10.0, output: 1.0 };
    let one = Batch { pending: Some(2.0), queued: Some(1.0), sizes: vec![(size, 3.0)], ..of(0.0, 10.0, 5.0) };
    let other = Batch { pending: Some(4.0), queued: None, sizes: vec![(size, 1.0)], ..of(0.0, 10.0, 7.0) };
    let both = one.plus(&other).unwrap();
    assert_eq!((both.arrivals, both.pending, both.queued), (Some(12.0), Some(6.0), None));
    assert_eq!(both.completions(), 4.0);
    assert_eq!(one.plus(&of(0.0, 11.0, 1.0)), None);
}
