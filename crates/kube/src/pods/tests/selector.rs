//! Label selectors as text.

use super::{labelled, pod, view};
use crate::pods::Selector;
use crate::pods::selector::SelectorError;
use serde_json::json;

#[test]
fn selectors_select_as_kubernetes_does() {
    let pod = view(labelled(pod("a"), json!({"ray.io/node-type": "head", "empty": ""})));
    let cases = [
        ("app=llama", true),
        ("app==llama", true),
        (" app = llama , pod-template-hash=7d9f ", true),
        ("app=llama,pod-template-hash=other", false),
        ("app!=llama", false),
        ("app!=other", true),
        ("absent!=other", true),
        ("app in (llama, qwen)", true),
        ("app in (qwen)", false),
        ("absent in (a)", false),
        ("app notin (llama)", false),
        ("absent notin (a,b)", true),
        ("app", true),
        ("absent", false),
        ("!app", false),
        ("! absent", true),
        ("ray.io/node-type=head,app in (llama,qwen),!absent", true),
        ("empty=", true),
        ("app=", false),
        ("empty in (,x)", true),
    ];
    for (text, expected) in cases {
        let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(selector.matches(&pod.labels), expected, "{text}");
    }
}

#[test]
fn what_is_no_selector_is_refused_with_what_is_allowed() {
    for text in ["", "  ", "\t"] {
        assert_eq!(Selector::parse(text), Err(SelectorError::Empty), "{text:?}");
    }
    let cases = [
        "=x",
        "a=b=c",
        "a in b",
        "a in (b",
        "a in b)",
        "a within (b)",
        "in (b)",
        "a b in (c)",
        "a,",
        ",a",
        "a>1",
        "!",
        "!!a",
        "a/b/c=d",
        "/a=b",
        "a=b/c",
        "a in ((b))",
        "sp ace",
        "a=(b)",
        "a in (b) c",
    ];
    for text in cases {
        let error = Selector::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("the selector {text:?} is not understood at ")), "{error}");
    }
}
