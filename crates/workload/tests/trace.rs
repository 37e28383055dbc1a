//! Traces: the forms that are read, and the errors that name file and line.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;
use std::path::PathBuf;
use workload::trace::{Trace, Window};

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const CSV: &[u8] = b"t,input_tokens,output_tokens,ideal_prefix_hit_tokens\n0.5,10,20,5\n1.5,30,0,99\n9,1,1,\n";

#[test]
fn csv_plain_and_gzipped_read_the_same() {
    let (_a, plain) = file("a.csv", CSV);
    let (_b, packed) = file("a.csv.gz", &gzip(CSV));
    let read = Trace::read_all(&plain, Window::default()).unwrap();
    assert_eq!(read, Trace::read_all(&packed, Window::default()).unwrap());
    assert_eq!(read.len(), 3);
    assert_eq!((read[0].at, read[0].input_tokens, read[0].output_tokens, read[0].prefix_hit_tokens), (0.5, 10, 20, 5));
    assert_eq!(
        (read[1].output_tokens, read[1].prefix_hit_tokens),
        (1, 30),
        "no tokens count as one; a hit is within the prompt"
    );
}

#[test]
fn a_window_counts_time_from_its_start_and_ends_exclusively() {
    let (_dir, path) = file("a.csv", CSV);
    let window = Window { from: 1.0, length: Some(8.0) };
    let times: Vec<f64> = Trace::read_all(&path, window).unwrap().iter().map(|arrival| arrival.at).collect();
    assert_eq!(times, [0.5]);
}

#[test]
fn mooncake_lines_turn_known_leading_blocks_into_prefix_hits() {
    let lines = b"{\"timestamp\": 0, \"input_length\": 1500, \"output_length\": 5, \"hash_ids\": [1, 2, 3]}\n\n\
{\"timestamp\": 2500, \"input_length\": 1400, \"output_length\": 6, \"hash_ids\": [1, 2, 9]}\n";
    let (_dir, path) = file("a.jsonl", lines);
    let read = Trace::read_all(&path, Window::default()).unwrap();
    assert_eq!((read[0].prefix_hit_tokens, read[1].prefix_hit_tokens, read[1].at), (0, 1024, 2.5));
}

#[test]
fn errors_name_file_and_line_and_what_is_allowed() {
    let cases: [(&str, &[u8], &str); 6] = [
        ("a.csv", b"t,input_tokens\n0,1\n", "a.csv:1: no column output_tokens"),
        ("a.csv", b"t,input_tokens,output_tokens\n0,1,1\nx,1,1\n", "a.csv:3: t \"x\" is not a number"),
        ("a.csv", b"t,input_tokens,output_tokens\n5,1,1\n4,1,1\n", "a.csv:3: time 4 goes back behind 5"),
        ("a.csv", b"t,input_tokens,output_tokens\nNaN,1,1\n", "a.csv:2: time NaN is not allowed"),
        ("a.jsonl", b"{\"timestamp\": 0}\n", "a.jsonl:1: missing field `input_length`"),
        ("a.txt", b"", "a.txt:1: unknown form of trace; allowed: .csv"),
    ];
    for (name, bytes, expected) in cases {
        let (_dir, path) = file(name, bytes);
        let error = Trace::read_all(&path, Window::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(Trace::open(std::path::Path::new("/nowhere/a.csv"), Window::default()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for name in ["a.csv", "a.jsonl", "a.csv.gz"] {
            let (_dir, path) = file(name, &bytes);
            let _ = Trace::read_all(&path, Window::default());
        }
    }
}
