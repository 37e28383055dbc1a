//! Lines of families that nobody asked for cost no allocation.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fmt::Write;

use promtext::{Page, Selection};

fn unwanted_lines(count: usize) -> String {
    let mut text = String::new();
    for at in 0..count {
        writeln!(text, "# TYPE other_{at} histogram").unwrap();
        writeln!(text, "other_{at}_bucket{{le=\"0.5\",model_name=\"a \\\"quoted\\\" name, with }} in it\"}} {at}")
            .unwrap();
    }
    text
}

fn allocations(text: &str, wanted: &Selection) -> u64 {
    allocation_counter::measure(|| {
        let page = Page::read(text.as_bytes(), wanted).unwrap();
        assert!(page.problems().is_empty());
    })
    .count_total
}

#[test]
fn a_page_of_unwanted_families_is_read_without_one_allocation() {
    let text = unwanted_lines(5_000);
    assert_eq!(allocations(&text, &Selection::new(["vllm:num_requests_running", "other"])), 0);
}

#[test]
fn unwanted_lines_around_wanted_ones_add_no_allocation() {
    let wanted = Selection::new(["vllm:num_requests_running"]);
    let page = |unwanted: usize| {
        let around = unwanted_lines(unwanted);
        format!("{around}# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{engine=\"0\"}} 4\n{around}")
    };
    assert_eq!(allocations(&page(10), &wanted), allocations(&page(2_000), &wanted));
}
