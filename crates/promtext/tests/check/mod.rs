//! What must hold for any bytes at all. Shared by the fuzz target and the ordinary tests.

use promtext::{MAX_LABELS, MAX_REPORTED_PROBLEMS, MAX_SAMPLES, Page, Selection, names};

/// Families that the corpus uses, so that mutated pages still reach the deeper parts of the parser.
const FAMILIES: [&str; 8] = ["a", "b", "h", "vllm:x", "vllm:iteration_tokens_total", "c_total", "s", "esc"];

/// Reads the bytes as a page, selectively and whole, and looks at everything it can give.
pub(crate) fn any_bytes(bytes: &[u8]) {
    let selective = Selection::new(FAMILIES);
    for selection in [&selective, &Selection::everything()] {
        let Ok(page) = Page::read(bytes, selection) else {
            assert!(bytes.len() > promtext::MAX_PAGE_BYTES);
            return;
        };
        check_page(&page);
    }
    for name in names(bytes) {
        assert!(!name.is_empty());
    }
}

fn check_page(page: &Page<'_>) {
    assert!(page.samples().len() <= MAX_SAMPLES.min(page.sample_lines()));
    assert!(page.problems().first().len() <= MAX_REPORTED_PROBLEMS.min(page.problems().total()));
    for sample in page.samples() {
        assert!(sample.labels.iter().count() <= MAX_LABELS);
        let _ = sample.labels.key_without(&["le"]);
        for label in sample.labels.iter() {
            assert!(sample.labels.get(label.name).is_some());
        }
    }
    for name in FAMILIES {
        let Some(family) = page.family(name) else { continue };
        let _ = (family.kind(), family.values().count(), family.has_samples());
        if let Some(problem) = family.unread() {
            assert!(page.problems().total() > 0 && problem.line > 0);
        }
        for (_, histogram) in family.histograms() {
            check_histogram(&histogram);
        }
    }
}

fn check_histogram(histogram: &promtext::Histogram) {
    let buckets = histogram.buckets();
    assert!(buckets.windows(2).all(|pair| pair[0].upper < pair[1].upper && pair[0].cumulative <= pair[1].cumulative));
    assert!(histogram.mean().is_none_or(f64::is_finite));
    let mut before = f64::NEG_INFINITY;
    for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
        let Some(value) = histogram.quantile(q) else { continue };
        assert!(!value.is_nan() && value >= before, "quantiles do not fall: {before} then {value} in {buckets:?}");
        before = value;
    }
    let nothing_new = histogram.since(histogram).map(|increase| increase.count());
    assert!(matches!(nothing_new, Ok(None | Some(0.0))), "a histogram continues itself");
    let _ = histogram.plus(histogram);
}
