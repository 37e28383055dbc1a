//! What a page says and what it does not, by example.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use promtext::{Kind, MAX_LABELS, MAX_PAGE_BYTES, Page, PageTooLarge, Reason, Selection};

fn read<'a>(text: &'a str, wanted: &[&str]) -> Page<'a> {
    Page::read(text.as_bytes(), &Selection::new(wanted)).unwrap()
}

fn values(text: &str, family: &str) -> Vec<f64> {
    let page = read(text, &[family]);
    page.family(family).map(|family| family.values().map(|sample| sample.value).collect()).unwrap_or_default()
}

fn only_reason(text: &str) -> Reason {
    let page = read(text, &["a"]);
    assert_eq!((page.samples().len(), page.problems().total()), (0, 1), "{text}");
    page.problems().first()[0].reason
}

#[test]
fn a_family_is_not_taken_for_another_that_begins_with_its_name() {
    let text = "vllm:num_requests_waiting 3\nvllm:num_requests_waiting_by_reason{reason=\"capacity\"} 2\n";
    assert_eq!(values(text, "vllm:num_requests_waiting"), [3.0]);
    assert_eq!(values(text, "vllm:num_requests"), [0.0; 0]);
}

#[test]
fn created_is_never_the_value() {
    let text = "# TYPE c_total counter\nc_total 5\n# TYPE c_created gauge\nc_created 1.7e9\nc_total_created 1.7e9\n";
    assert_eq!(values(text, "c_total"), [5.0]);
    assert_eq!(values(text, "c"), [5.0]);
    assert_eq!(values(text, "c_created"), [1.7e9], "asked for by its full name it is there");
}

#[test]
fn a_counter_is_found_with_and_without_total_whichever_name_the_page_declares() {
    for declared in ["c", "c_total"] {
        let text = format!("# TYPE {declared} counter\nc_total 7\n");
        for asked in ["c", "c_total"] {
            let page = read(&text, &[asked]);
            let family = page.family(asked).unwrap();
            assert_eq!(family.values().next().unwrap().value, 7.0);
            assert_eq!(family.kind(), Kind::Counter);
        }
    }
}

#[test]
fn a_histogram_may_have_a_name_that_ends_like_a_counter() {
    let text = "# TYPE vllm:iteration_tokens_total histogram\nvllm:iteration_tokens_total_bucket{le=\"1.0\"} 1\n\
                vllm:iteration_tokens_total_bucket{le=\"+Inf\"} 2\nvllm:iteration_tokens_total_count 2\n\
                vllm:iteration_tokens_total_sum 9\n";
    let page = read(text, &["vllm:iteration_tokens_total"]);
    let family = page.family("vllm:iteration_tokens_total").unwrap();
    assert_eq!(family.kind(), Kind::Histogram);
    assert_eq!(family.values().count(), 0);
    let histograms = family.histograms();
    assert_eq!((histograms.len(), histograms[0].1.mean()), (1, Some(4.5)));
}

#[test]
fn a_declared_family_without_samples_differs_from_a_missing_one() {
    let page = read("# HELP a Something.\n# TYPE a gauge\n", &["a", "b"]);
    assert!(!page.family("a").unwrap().has_samples());
    assert!(page.family("b").is_none());
}

#[test]
fn type_may_come_after_the_samples_or_not_at_all() {
    let page = read("a 1\nb 1\n# TYPE a gauge\n", &["a", "b"]);
    assert_eq!(page.family("a").unwrap().kind(), Kind::Gauge);
    assert_eq!(page.family("b").unwrap().kind(), Kind::Unknown);
}

#[test]
fn a_family_in_two_places_is_read_from_both() {
    assert_eq!(values("a{x=\"1\"} 1\nb 2\na{x=\"2\"} 3\n", "a"), [1.0, 3.0]);
}

#[test]
fn label_values_may_hold_anything_escaped() {
    let page = read(r#"a{ x = "}{,\"\\ \n é" , y="2", } 1 # {trace_id="t"} 0.5 1700000000"#, &["a"]);
    assert!(page.problems().is_empty());
    let labels = page.samples()[0].labels;
    assert_eq!(labels.get("x").unwrap(), "}{,\"\\ \n é");
    assert_eq!(labels.get("y").unwrap(), "2");
    assert_eq!(labels.iter().count(), 2);
}

#[test]
fn label_values_are_borrowed_from_the_page_unless_escaped() {
    let page = read("a{x=\"plain\",y=\"es\\\\caped\"} 1\n", &["a"]);
    let borrowed: Vec<bool> =
        page.samples()[0].labels.iter().map(|label| matches!(label.value, std::borrow::Cow::Borrowed(_))).collect();
    assert_eq!(borrowed, [true, false]);
}

#[test]
fn the_key_of_a_label_set_does_not_depend_on_its_order() {
    let page = read("a{x=\"1\",le=\"2\",b=\"3\"} 1\na{b=\"3\",x=\"1\"} 1\na{} 1\n", &["a"]);
    let keys: Vec<String> = page.samples().iter().map(|sample| sample.labels.key_without(&["le"])).collect();
    assert_eq!(keys, ["b=\"3\",x=\"1\",", "b=\"3\",x=\"1\",", ""]);
}

#[test]
fn numbers_are_read_as_prometheus_reads_them() {
    for (text, value) in
        [("1", 1.0), ("-2.5e3", -2500.0), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY), (".5", 0.5)]
    {
        assert_eq!(values(&format!("a {text}\n"), "a"), [value]);
    }
    assert!(values("a NaN\n", "a")[0].is_nan());
    for refused in ["0x1p3", "0x10", "1_000", "one", "1,0"] {
        assert_eq!(only_reason(&format!("a {refused}\n")), Reason::BadValue, "{refused}");
    }
}

#[test]
fn timestamps_are_kept_and_exemplars_are_passed_over() {
    let page = read("a 1 1700000000000\na 2 1700000000.5 # {t=\"x\"} 1\na 3 # {t=\"x\"} 1\n", &["a"]);
    let found: Vec<_> = page.samples().iter().map(|sample| (sample.value, sample.timestamp)).collect();
    assert_eq!(found, [(1.0, Some(1.7e12)), (2.0, Some(1_700_000_000.5)), (3.0, None)]);
}

#[test]
fn windows_line_ends_blank_lines_tabs_and_a_missing_last_line_feed_are_read() {
    let text = "# TYPE a gauge\r\n\r\n  \t\r\n\ta\t1\r\na{x=\"1\"} 2";
    assert_eq!(values(text, "a"), [1.0, 2.0]);
    assert_eq!(read(text, &["a"]).family("a").unwrap().kind(), Kind::Gauge);
}

#[test]
fn the_end_mark_of_openmetrics_is_noticed() {
    assert!(read("a 1\n# EOF\n", &["a"]).has_eof());
    assert!(!read("a 1\n", &["a"]).has_eof());
}

#[test]
fn a_bad_line_is_counted_with_its_reason_and_the_page_goes_on() {
    assert_eq!(only_reason("a\n"), Reason::NoValue);
    assert_eq!(only_reason("a{x=\"1\"}\n"), Reason::NoValue);
    assert_eq!(only_reason("a{x=\"1\" 1\n"), Reason::BadLabels);
    assert_eq!(only_reason("a{x=1} 1\n"), Reason::BadLabels);
    assert_eq!(only_reason("a{x=\"1\\\"} 1\n"), Reason::BadLabels);
    assert_eq!(only_reason("a{1x=\"1\"} 1\n"), Reason::BadLabels);
    assert_eq!(only_reason("a 1 soon\n"), Reason::BadTimestamp);
    assert_eq!(only_reason("a 1 2 3\n"), Reason::TrailingText);
    assert_eq!(only_reason("{\"quoted.name\"} 1\n"), Reason::BadName);
    assert_eq!(only_reason("# TYPE a thermometer\n"), Reason::BadType);
    assert_eq!(only_reason("# TYPE a gauge\n# TYPE a counter\n"), Reason::ConflictingType);
    let page = read("a 1\na x\n\u{0}\u{0}\na 3\n", &["a"]);
    assert_eq!(page.samples().len(), 2);
    let lines: Vec<_> = page.problems().first().iter().map(|problem| (problem.line, problem.reason)).collect();
    assert_eq!(lines, [(2, Reason::BadValue), (3, Reason::BadName)]);
}

#[test]
fn invalid_utf8_spoils_its_own_line_only() {
    let page = Page::read(b"a{x=\"\xff\"} 1\nb\xff 2\na 3\n", &Selection::new(["a"])).unwrap();
    let reasons: Vec<_> = page.problems().first().iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, [Reason::NotUtf8, Reason::BadName]);
    assert_eq!(page.samples()[0].value, 3.0);
}

#[test]
fn lines_of_unwanted_families_are_not_judged_beyond_their_name() {
    let page = read("other{broken 1\na 1\n", &["a"]);
    assert!(page.problems().is_empty());
    assert_eq!(page.sample_lines(), 2);
}

#[test]
fn a_page_of_another_kind_has_no_sample_lines() {
    let page = read("<html>\n<body>404</body>\n</html>\n", &["a"]);
    assert_eq!((page.sample_lines(), page.problems().total()), (0, 3));
}

#[test]
fn limits_hold() {
    let large = vec![b'a'; MAX_PAGE_BYTES + 1];
    assert_eq!(Page::read(&large, &Selection::default()).unwrap_err(), PageTooLarge { bytes: MAX_PAGE_BYTES + 1 });
    assert!(Page::read(&large[..MAX_PAGE_BYTES], &Selection::everything()).is_ok(), "one line of 16 MiB");
    let labels = |count: usize| (0..count).map(|at| format!("l{at}=\"\"")).collect::<Vec<_>>().join(",");
    assert_eq!(read(&format!("a{{{}}} 1\n", labels(MAX_LABELS)), &["a"]).samples().len(), 1);
    assert_eq!(only_reason(&format!("a{{{}}} 1\n", labels(MAX_LABELS + 1))), Reason::TooManyLabels);
    let garbage = "!\n".repeat(1000);
    let page = read(&garbage, &["a"]);
    assert_eq!((page.problems().total(), page.problems().first().len()), (1000, promtext::MAX_REPORTED_PROBLEMS));
}

#[test]
fn names_lists_what_a_page_has_without_reading_it() {
    let found: Vec<_> = promtext::names(b"# HELP x y\n# TYPE x gauge\nx{a=\"1\"} 1\n<html>\nvllm:y 2").collect();
    assert_eq!(found, ["x", "x", "vllm:y"]);
}

#[test]
fn a_line_that_cannot_be_read_is_told_of_its_family_and_of_no_other() {
    let unread = |text: &str, family: &str| {
        let page = read(text, &["a", "ab", "h", "c_total"]);
        page.family(family).unwrap().unread().map(|problem| (problem.line, problem.reason))
    };
    let page = "a{engine=\"0\"} 3\na{engine=\"1\"} 4x\nab 1\nh_sum 1\nh_count 2 soon\nc_total 1\n";
    assert_eq!(unread(page, "a"), Some((2, Reason::BadValue)));
    assert_eq!(unread(page, "ab"), None);
    assert_eq!(unread(page, "h"), Some((5, Reason::BadTimestamp)));
    assert_eq!(unread(page, "c_total"), None);
    assert_eq!(unread("a 1\na\"0\" 2\n", "a"), Some((2, Reason::BadName)));
    assert_eq!(unread("a 1\n# TYPE a thermometer\n", "a"), Some((2, Reason::BadType)));
    assert_eq!(unread("# TYPE c counter\n# TYPE c gauge\nc_total 1\n", "c_total"), Some((2, Reason::ConflictingType)));
}

#[test]
fn of_too_many_affected_families_none_is_trusted() {
    let mut text: String = (0..300).map(|at| format!("a{at} x\n")).collect::<Vec<_>>().concat();
    text.push_str("good 1\n");
    let page = Page::read(text.as_bytes(), &Selection::everything()).unwrap();
    assert!(page.family("good").unwrap().unread().is_some());
}

#[test]
fn a_byte_order_mark_before_the_page_is_passed_over() {
    let text = "\u{feff}a{x=\"0\"} 3\na{x=\"1\"} 4\n";
    assert_eq!(values(text, "a"), [3.0, 4.0]);
    assert!(read(text, &["a"]).problems().is_empty());
    assert_eq!(promtext::names(text.as_bytes()).next(), Some("a"));
}

#[test]
fn parts_of_a_distribution_read_by_their_own_names_are_counters() {
    let text =
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_count 3\n# TYPE g_count gauge\ng_count 4\nu_sum 1\n";
    let names = ["h_sum", "h_count", "h_bucket", "g_count", "u_sum"];
    let page = read(text, &names);
    let kinds = names.map(|name| page.family(name).unwrap().kind());
    assert_eq!(kinds, [Kind::Counter, Kind::Counter, Kind::Counter, Kind::Gauge, Kind::Unknown]);
    assert!(!read("# TYPE h histogram\n", &["h_count"]).family("h_count").unwrap().has_samples());
}

#[test]
fn a_summary_is_known_by_its_quantiles_and_type_words_by_any_case() {
    let text = "s{quantile=\"0.5\"} 0.2\ns_sum 12\ns_count 60\n# TYPE b GAUGE\nb 1\n";
    let page = read(text, &["s", "b"]);
    assert_eq!(page.family("s").unwrap().kind(), Kind::Summary);
    assert_eq!(page.family("b").unwrap().kind(), Kind::Gauge);
}

#[test]
fn a_page_that_only_declares_is_told_from_one_that_is_none() {
    assert_eq!(read("# HELP a x\n# TYPE a gauge\n# TYPE other gauge\n", &["a"]).declaration_lines(), 3);
    assert_eq!(read("# a comment\n<html>\n", &["a"]).declaration_lines(), 0);
}
