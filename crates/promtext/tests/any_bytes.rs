//! The fuzz target's property over its seed corpus, over mutations of it, and over random bytes.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod check;

use std::{fs, path::PathBuf};

use proptest::prelude::*;

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/promtext");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_seed_of_the_fuzz_corpus_is_survived_and_so_is_every_beginning_of_it() {
    let corpus = corpus();
    assert!(corpus.len() >= 10, "the corpus is in place");
    for (_, bytes) in corpus {
        for end in 0..=bytes.len() {
            check::any_bytes(&bytes[..end]);
        }
    }
}

/// A seed with some bytes replaced, inserted or cut.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let interesting = prop::sample::select(b"{}\"\\,=\n\r\t #\0_:+-.eE09NnIi\xff\xc3".to_vec());
    let edits = prop::collection::vec((any::<prop::sample::Index>(), interesting, 0..3_u8), 1..24);
    (prop::sample::select(corpus()), edits).prop_map(|((_, mut bytes), edits)| {
        for (index, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_pages_are_survived(bytes in mutated()) {
        check::any_bytes(&bytes);
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        check::any_bytes(&bytes);
    }

    #[test]
    fn any_label_value_comes_back_as_it_was_written(value in any::<String>(), number in any::<f64>()) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = format!("before 1\na{{x=\"{escaped}\",y=\"z\"}} {number:e}\nafter 2");
        let page = promtext::Page::read(text.as_bytes(), &promtext::Selection::new(["a"])).unwrap();
        prop_assert!(page.problems().is_empty());
        let sample = page.samples()[0];
        prop_assert_eq!(sample.labels.get("x").unwrap(), value);
        prop_assert_eq!(sample.labels.get("y").unwrap(), "z");
        prop_assert!(sample.value == number || (sample.value.is_nan() && number.is_nan()));
    }
}
