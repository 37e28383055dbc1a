//! What the profiles of a manifest say that are files. Opens none: whoever calls knows where they are.

use crate::planning::Known;
use autoscaler_api::v1alpha1::GpuProfile;

/// What is known by the first profile that is a file; none where there is no such one. The error names the field.
pub fn from_files(
    profiles: &[GpuProfile],
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<Option<Known>, String> {
    let files = profiles.iter().enumerate().filter_map(|(index, one)| Some((index, one, one.file.as_deref()?)));
    let Some((index, profile, file)) = files.into_iter().next() else { return Ok(None) };
    let known = read(file).and_then(|text| Known::from_json(&text));
    let mut known = known.map_err(|problem| format!("spec.profiles[{index}].file: {file}: {problem}"))?;
    known.cost = profile.cost_per_hour.or(known.cost);
    Ok(Some(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_planning::Knowledge;
    use engine_model::EngineSpec;

    fn profile(file: Option<&str>, cost: Option<f64>) -> GpuProfile {
        let fields = serde_json::json!({ "gpuType": "g", "file": file, "costPerHour": cost });
        serde_json::from_value(fields).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_first_profile_that_is_a_file_is_read_and_the_manifests_price_wins() {
        let engine = EngineSpec::builtin("l4-8b").map(|spec| serde_json::to_string(&spec).unwrap_or_default());
        let read = |file: &str| {
            if file == "a.json" { engine.clone().ok_or_else(String::new) } else { Err("cannot be read".to_owned()) }
        };
        let profiles = [profile(None, None), profile(Some("a.json"), Some(2.5)), profile(Some("b.json"), None)];
        let known = from_files(&profiles, read).ok().flatten();
        assert!(
            matches!(&known, Some(Known { knowledge: Knowledge::Engine(_), cost: Some(cost) }) if *cost == 2.5),
            "{known:?}"
        );
        assert_eq!(from_files(&profiles[..1], read), Ok(None));
        let wrong = from_files(&[profile(Some("b.json"), None)], read);
        assert_eq!(wrong, Err("spec.profiles[0].file: b.json: cannot be read".to_owned()));
    }
}
