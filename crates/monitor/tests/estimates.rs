//! What the load says of streams whose truth is known.

mod common;

use common::{BIMODAL, Stream, cost, demand};
use request_monitor::{Batch, Monitor, Outcome, Settings, Size};

fn monitor() -> Monitor {
    Monitor::new(Settings::default())
}

fn truth(rate: f64) -> f64 {
    rate * BIMODAL.iter().map(|(share, size)| share * cost(size.input, size.output)).sum::<f64>()
}

#[test]
fn the_demand_of_a_steady_bimodal_load_stays_within_a_few_per_cent_from_the_second_minute_on() {
    for step in [1.0, 10.0] {
        let (mut squares, mut looks, mut worst) = (0.0, 0.0, 0.0_f64);
        for seed in 0..10 {
            let (mut stream, mut monitor) = (Stream::new(seed), monitor());
            stream.feed(&mut monitor, 120.0, step, 10.0);
            while stream.now < 3600.0 {
                stream.feed(&mut monitor, 10.0, step, 10.0);
                let off = demand(&monitor.load(stream.now)) / truth(10.0) - 1.0;
                squares += off * off;
                looks += 1.0;
                worst = worst.max(off.abs());
            }
        }
        let typical = f64::sqrt(squares / looks);
        println!("step {step}: typical {typical:.4} worst {worst:.4}");
        assert!(typical < 0.025, "steps of {step} s: typically {typical} off");
        assert!(worst < 0.12, "steps of {step} s: {worst} off at worst");
    }
}

#[test]
fn a_steady_load_is_rarely_taken_for_a_step() {
    let mut steps = 0;
    for (seed, rate) in [(1, 0.2), (2, 1.0), (3, 10.0), (4, 50.0)] {
        let (mut stream, mut monitor) = (Stream::new(seed), monitor());
        let mut since = None;
        for _ in 0..3600 {
            stream.feed(&mut monitor, 1.0, 1.0, rate);
            let now = monitor.load(stream.now).since;
            steps += usize::from(now != since);
            since = now;
        }
    }
    assert!(steps <= 1, "{steps} steps in four hours");
}

#[test]
#[ignore = "a minute of work, for the figures of docs/monitoring.md"]
fn days_of_steady_load_bring_hardly_a_step_and_no_change_of_the_mix() {
    let (mut all, mut changes) = (0, 0);
    for (rate, step, hours) in
        [(0.1, 1.0, 40.0), (1.0, 1.0, 40.0), (10.0, 1.0, 40.0), (10.0, 10.0, 100.0), (100.0, 10.0, 40.0)]
    {
        let (mut stream, mut monitor) = (Stream::new(77), monitor());
        let (mut steps, mut since, mut samples, mut worst) = (0, None, 0.0, 0.0_f64);
        while stream.now < hours * 3600.0 {
            stream.feed(&mut monitor, step, step, rate);
            let load = monitor.load(stream.now);
            steps += usize::from(load.since != since);
            changes += usize::from(load.samples < 0.7 * samples);
            (since, samples) = (load.since, load.samples);
            if stream.now > 120.0 {
                worst = worst.max((demand(&load) / truth(rate) - 1.0).abs());
            }
        }
        println!("{rate} a second in steps of {step} s, {hours} h: {steps} steps, demand off by {worst:.3} at worst");
        all += steps;
    }
    assert!(all <= 6 && changes == 0, "{all} steps, {changes} changes of the mix");
}

#[test]
fn bursts_that_come_steadily_are_noise_and_not_steps() {
    // Ten requests at once, at once a second on average: the variance is ten times Poisson's.
    let (mut stream, mut monitor) = (Stream::new(6), monitor());
    let (mut steps, mut since) = (0, None);
    for second in 0..2 * 3600_u32 {
        let to = f64::from(second + 1);
        let arrivals = f64::from(stream.poisson(1.0)) * 10.0;
        monitor.add(&Batch { arrivals: Some(arrivals), ..Batch::new(to - 1.0, to) });
        let load = monitor.load(to);
        steps += usize::from(load.since != since);
        since = load.since;
    }
    println!("bursts: {steps} steps in two hours, error {}", monitor.load(7200.0).rate_error);
    assert!(steps <= 3, "{steps} steps in two hours");
    let said = monitor.load(7200.0).rate_error;
    assert!((0.03..0.1).contains(&said), "{said}: √10 times Poisson's 1.7 %");
}

#[test]
fn five_times_the_rate_is_seen_within_30_seconds_and_the_mix_stays_calm() {
    for (rate, step) in [(0.5, 1.0), (2.0, 10.0), (10.0, 1.0), (10.0, 10.0), (200.0, 10.0)] {
        let (mut stream, mut monitor) = (Stream::new(7), monitor());
        stream.feed(&mut monitor, 900.0, step, rate);
        let before = monitor.load(stream.now);
        stream.feed(&mut monitor, 30.0, step, 5.0 * rate);
        let after = monitor.load(stream.now);
        let seen = after.rate / rate;
        let noise = 3.0 * 5.0 / (5.0 * rate * 30.0).sqrt();
        assert!((seen - 5.0).abs() < noise.max(0.6), "{rate} a second in steps of {step} s: {seen} times");
        let per_request = |load: &request_monitor::Load| demand(load) / load.rate;
        let moved = per_request(&after) / per_request(&before) - 1.0;
        assert!(moved.abs() < 0.15, "{rate} a second: the mix moved by {moved}");
    }
}

#[test]
fn a_ramp_is_followed() {
    // Twice, and four times, the load within ten minutes; how far the estimate is behind on average while it rises.
    for (times, most) in [(2.0, 0.1), (4.0, 0.13)] {
        let (mut off, mut looks) = (0.0, 0.0);
        for seed in 0..10 {
            let (mut stream, mut monitor) = (Stream::new(seed), monitor());
            stream.feed(&mut monitor, 600.0, 1.0, 10.0);
            for second in 0..600_u32 {
                let rate = 10.0 + 10.0 * (times - 1.0) * f64::from(second) / 600.0;
                stream.feed(&mut monitor, 1.0, 1.0, rate);
                off += monitor.load(stream.now).rate / rate - 1.0;
                looks += 1.0;
            }
        }
        let off = off / looks;
        println!("{times} times in ten minutes: {off:.3}");
        assert!(off < 0.01 && off > -most, "{times} times in ten minutes: {off}");
    }
}

#[test]
fn a_fall_to_a_fifth_is_seen_within_a_minute() {
    let (mut stream, mut monitor) = (Stream::new(8), monitor());
    stream.feed(&mut monitor, 600.0, 1.0, 50.0);
    stream.feed(&mut monitor, 60.0, 1.0, 10.0);
    let rate = monitor.load(stream.now).rate;
    assert!((8.0..12.0).contains(&rate), "{rate}");
}

#[test]
fn the_first_tick_is_not_over_estimated() {
    for step in [1.0, 2.0, 10.0] {
        let rate = |seed| {
            let (mut stream, mut monitor) = (Stream::new(seed), monitor());
            stream.feed(&mut monitor, 10.0, step, 10.0);
            monitor.load(stream.now).rate
        };
        let mean = (0..200).map(rate).sum::<f64>() / 200.0;
        assert!((mean - 10.0).abs() < 0.3, "steps of {step} s: {mean}");
    }
    let load = monitor().load(5.0);
    assert_eq!((load.rate, load.confidence, load.rate_error, load.age), (0.0, 0.0, 1.0, f64::INFINITY));
}

#[test]
fn confidence_grows_with_what_is_known() {
    let (mut stream, mut monitor) = (Stream::new(1), monitor());
    let mut before = 0.0;
    for _ in 0..5 {
        stream.feed(&mut monitor, 10.0, 1.0, 1.0);
        let load = monitor.load(stream.now);
        assert!(load.confidence > before && load.confidence < 1.0 && load.samples > 0.0);
        before = load.confidence;
    }
    stream.feed(&mut monitor, 600.0, 1.0, 10.0);
    let load = monitor.load(stream.now);
    assert!(load.confidence > 0.99 && load.rate_error < 0.03, "{} {}", load.confidence, load.rate_error);
}

#[test]
fn the_rate_error_is_the_spread_that_is_seen() {
    let loads: Vec<_> = (0..100)
        .map(|seed| {
            let (mut stream, mut monitor) = (Stream::new(seed), monitor());
            stream.feed(&mut monitor, 600.0, 2.0, 5.0);
            monitor.load(stream.now)
        })
        .collect();
    let spread = (loads.iter().map(|load| (load.rate / 5.0 - 1.0).powi(2)).sum::<f64>() / 100.0).sqrt();
    let said = loads.iter().map(|load| load.rate_error).sum::<f64>() / 100.0;
    assert!((0.75..1.35).contains(&(spread / said)), "seen {spread}, said {said}");
}

#[test]
fn an_outage_keeps_the_rate_and_grows_the_age() {
    let (mut stream, mut monitor) = (Stream::new(3), monitor());
    stream.feed(&mut monitor, 300.0, 1.0, 10.0);
    let before = monitor.load(stream.now);
    let later = monitor.load(stream.now + 3000.0);
    assert_eq!((later.rate, later.sizes.clone()), (before.rate, before.sizes.clone()));
    assert_eq!(later.age, 3000.0);
    // What comes after it is not diluted by the time that nobody saw.
    stream.now += 600.0;
    stream.feed(&mut monitor, 30.0, 1.0, 10.0);
    let after = monitor.load(stream.now);
    assert_eq!(after.age, 0.0);
    assert!((8.0..12.0).contains(&after.rate), "{}", after.rate);
}

#[test]
fn told_zero_arrivals_are_zero_load_and_silence_is_not() {
    let (mut stream, mut monitor) = (Stream::new(4), monitor());
    stream.feed(&mut monitor, 300.0, 10.0, 10.0);
    let silent = Batch::new(stream.now, stream.now + 10.0);
    assert!(matches!(monitor.add(&silent), Outcome::Refused(_)));
    assert!(monitor.load(stream.now).rate > 9.0);
    let mut rates = Vec::new();
    for _ in 0..6 {
        stream.feed(&mut monitor, 10.0, 10.0, 0.0);
        rates.push(monitor.load(stream.now).rate);
    }
    // A fall is believed as fast as thirty seconds are replaced.
    assert!(rates[0] > 5.0 && rates[0] < 9.0, "{rates:?}");
    assert!(rates[1] < rates[0] && rates[3] == 0.0, "{rates:?}");
    let load = monitor.load(stream.now);
    assert!(!load.sizes.is_empty(), "the mix is remembered for when load comes back");
}

#[test]
fn a_new_mix_is_seen_within_two_minutes() {
    let mut stream = Stream::new(5);
    let mut monitor = monitor();
    stream.feed(&mut monitor, 1800.0, 1.0, 10.0);
    let long = [(1.0, Size { input: 8000.0, output: 500.0 })];
    for _ in 0..90 {
        let batch = stream.batch(1.0, 10.0, &long);
        monitor.add(&batch);
    }
    let load = monitor.load(stream.now);
    let share = demand(&load) / (load.rate * cost(8000.0, 500.0));
    assert!(share > 0.75, "{share} of the new demand");
}

#[test]
fn a_quiet_model_is_known_by_its_last_requests() {
    let mut monitor = monitor();
    for minute in 0..120_u32 {
        let to = f64::from(minute) * 60.0;
        let sizes = vec![(Size { input: 500.0, output: 100.0 }, 1.0)];
        monitor.add(&Batch { arrivals: Some(1.0), sizes, ..Batch::new(to - 60.0, to) });
    }
    let load = monitor.load(7140.0);
    assert!(load.samples > 40.0, "{}", load.samples);
    assert!((load.rate - 1.0 / 60.0).abs() < 1e-6);
}

#[test]
fn a_mean_stands_for_the_cell_and_tokens_a_second_are_exact() {
    let mut monitor = monitor();
    let sizes: Vec<(Size, f64)> =
        (1..=1000).map(|n| (Size { input: f64::from(n), output: f64::from(n % 37) }, 1.0)).collect();
    let tokens = |sizes: &[(Size, f64)], of: fn(&Size) -> f64| sizes.iter().map(|(size, n)| of(size) * n).sum::<f64>();
    let (input, output) = (tokens(&sizes, |size| size.input), tokens(&sizes, |size| size.output));
    monitor.add(&Batch { arrivals: Some(1000.0), sizes, ..Batch::new(0.0, 10.0) });
    let load = monitor.load(10.0);
    for load in [load.clone(), load.at_most(12), load.at_most(1)] {
        let sum = |of: fn(&request_monitor::SizeRate) -> f64| load.sizes.iter().map(of).sum::<f64>();
        assert!((sum(|size| size.rate) - 100.0).abs() < 1e-9);
        assert!((sum(|size| size.rate * size.input) - input / 10.0).abs() < 1e-6);
        assert!((sum(|size| size.rate * size.output) - output / 10.0).abs() < 1e-6);
    }
    assert_eq!(load.at_most(12).sizes.len(), 12);
}
