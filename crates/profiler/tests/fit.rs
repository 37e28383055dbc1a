//! Engine parameters fitted to what an engine of known parameters shows.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use engine_model::EngineSpec;
use profiler::{Percentile, Plan, Slo, Spread, Sweep, fit, plot};

const SLO: Slo = Slo { ttft: Some(5.0), tpot: Some(0.2), e2e: None, percentile: Percentile::P90 };

fn swept(engine: &EngineSpec, inputs: &[u32]) -> Sweep {
    let (inputs, outputs, slo) = (inputs.to_vec(), vec![16, 128], SLO);
    let plan = Plan { inputs, outputs, slo, tolerance: 0.1, repeats: 1, max_rate: 1e4, rates: None };
    profiler::sweep(engine, plan, Spread::Poisson).unwrap()
}

#[test]
fn the_parameters_of_a_known_engine_are_found() {
    for (name, base) in [("a100-8b", "l4-8b"), ("l4-8b", "h100-8b"), ("h100-70b-tp4", "a100-8b")] {
        let known = EngineSpec::builtin(name).unwrap();
        let base = EngineSpec {
            overhead_ms: known.overhead_ms,
            max_num_batched_tokens: known.max_num_batched_tokens,
            ..EngineSpec::builtin(base).unwrap()
        };
        let fitted = fit(&swept(&known, &[64, 512, 4096]), Some(&base), "mine").unwrap();
        let spec = &fitted.spec;
        for (what, is, was, within) in [
            ("weights", spec.weights_ms, known.weights_ms, 0.05),
            ("compute", spec.compute_ms_per_token, known.compute_ms_per_token, 0.1),
            ("kv", spec.kv_ns_per_token, known.kv_ns_per_token, 0.5),
        ] {
            assert!((is / was - 1.0).abs() < within, "{name} {what}: {is} fitted, {was} true; {fitted:?}");
        }
        assert!(fitted.mean_error < 0.1, "{name}: {fitted:?}");
        assert!(spec.source.contains("overheadMs") && spec.source.contains("mean error"), "{}", spec.source);
    }
}

#[test]
fn a_fitted_engine_predicts_the_capacities_that_it_was_fitted_to() {
    let known = EngineSpec::builtin("a100-8b").unwrap();
    let measured = swept(&known, &[64, 512, 2048]);
    let fitted = fit(&measured, None, "mine").unwrap();
    let again = swept(&fitted.spec, &[64, 512, 2048]);
    for (was, is) in measured.found().iter().zip(again.found()) {
        assert!(
            (0.75..1.33).contains(&(is.capacity / was.capacity)),
            "{}: {} and {}",
            was.cell,
            was.capacity,
            is.capacity
        );
    }
}

#[test]
fn what_short_prompts_do_not_show_is_said_to_be_assumed() {
    let fitted = fit(&swept(&EngineSpec::builtin("a100-8b").unwrap(), &[16]), None, "mine").unwrap();
    assert!(fitted.assumed.contains(&"attentionNsPerToken2"), "{fitted:?}");
    let text = serde_json::to_string(&fitted.spec).unwrap();
    assert_eq!(serde_json::from_str::<EngineSpec>(&text).unwrap(), fitted.spec, "the file can be read again");
}

#[test]
fn nothing_measured_is_nothing_to_fit() {
    let plan =
        Plan { inputs: vec![8], outputs: vec![8], slo: SLO, tolerance: 0.1, repeats: 1, max_rate: 1.0, rates: None };
    assert!(fit(&Sweep::new(plan), None, "mine").is_err());
}

#[test]
fn the_picture_is_whole_and_names_are_no_markup() {
    let sweep = swept(&EngineSpec::builtin("l4-8b").unwrap(), &[64, 30_000]);
    let svg = plot::svg(&sweep, "<b>\"x\"</b>");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && !svg.contains("<b>") && !svg.contains("NaN"));
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    assert!(svg.contains("64 in, 128 out") && svg.contains("the engine refuses this size"));
    assert!(plot::html(&sweep, "x").contains(&plot::svg(&sweep, "x")));
}
