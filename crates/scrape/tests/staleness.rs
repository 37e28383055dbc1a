//! How old a value is: fresh, stale, absent; clocks that are set back, and what a board holds at most.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use autoscaler_scrape::{Absence, Answer, Board, FRESH_INTERVALS, MAX_READINGS};

fn board() -> Board<String> {
    Board::new(1.0)
}

fn key() -> String {
    "waiting".to_owned()
}

#[test]
fn a_value_is_fresh_for_three_intervals_and_then_stale_with_its_age() {
    let mut board = board();
    board.record("a", key(), 100.0, 7.0);
    for at in [100.0, 101.0, 100.0 + FRESH_INTERVALS] {
        assert_eq!(board.read("a", "waiting", at), Answer::Fresh(7.0), "{at}");
    }
    assert_eq!(board.read("a", "waiting", 104.0), Answer::Stale { value: 7.0, age: 4.0 });
    board.set_interval(5.0);
    assert_eq!(board.read("a", "waiting", 104.0), Answer::Fresh(7.0), "rarer scrapes make values live longer");
}

#[test]
fn a_failure_keeps_the_last_good_value_and_says_why() {
    let mut board = board();
    board.record("a", key(), 100.0, 0.0);
    board.fail("a", key(), "no answer in time");
    assert_eq!(board.read("a", "waiting", 101.0), Answer::Fresh(0.0), "a zero that was read is a value");
    assert_eq!(board.failure("a", "waiting"), Some("no answer in time"));
    board.record("a", key(), 102.0, 1.0);
    assert_eq!(board.failure("a", "waiting"), None);
}

#[test]
fn what_never_went_well_is_absent_with_the_reason_and_never_zero() {
    let mut board = board();
    assert_eq!(board.read("a", "waiting", 0.0), Answer::Absent(Absence::NotRead));
    board.fail("a", key(), "answered with status 500, not 200");
    let Answer::Absent(why) = board.read("a", "waiting", 0.0) else { panic!("there is no value") };
    assert_eq!(why.to_string(), "answered with status 500, not 200");
    board.record("b", key(), 0.0, f64::NAN);
    assert!(matches!(board.read("b", "waiting", 0.0), Answer::Absent(Absence::Failed(_))));
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_value_fresh() {
    let mut board = board();
    board.record("a", key(), 1000.0, 7.0);
    assert_eq!(board.read("a", "waiting", 500.0), Answer::Stale { value: 7.0, age: 500.0 });
    assert_eq!(board.read("a", "waiting", f64::NAN), Answer::Stale { value: 7.0, age: f64::INFINITY });
}

#[test]
fn a_board_is_bounded_and_says_that_it_is_full_until_replicas_are_forgotten() {
    let mut board: Board<u32> = Board::new(1.0);
    for at in 0..u32::try_from(MAX_READINGS).unwrap() {
        board.record("a", at, 0.0, 1.0);
    }
    board.record("b", 0, 0.0, 1.0);
    assert_eq!(board.read("b", &0, 0.0), Answer::Absent(Absence::Full));
    board.record("a", 0, 0.0, 2.0);
    assert_eq!(board.read("a", &0, 0.0), Answer::Fresh(2.0), "what it holds goes on");
    board.retain(|replica| replica != "a");
    assert!(board.is_empty());
    board.record("b", 0, 0.0, 1.0);
    assert_eq!((board.read("b", &0, 0.0), board.len()), (Answer::Fresh(1.0), 1));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let mut board = board();
    board.fail("a", key(), &"é".repeat(1000));
    assert_eq!(board.failure("a", "waiting").unwrap().len(), 256);
}
