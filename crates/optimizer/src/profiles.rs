//! Profiles of one model from all their sources: newer ones replace older ones, shapes may differ. Must not know where a profile
//! was fetched, but for what it is called.

use crate::fleet::Deployment;
use planner::{Profile, Slos};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most profiles of one model; one of each deployment is what there should be.
const MAX_PROFILES: usize = 1000;

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) profile: Profile,
    /// Where it is from.
    pub(crate) origin: String,
}

/// What is known of a profile, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) gpu: String,
    pub(crate) origin: String,
    /// Unix seconds; 0 where it does not say.
    pub(crate) created: f64,
    pub(crate) slos: Option<Slos>,
    /// Points of the grid, and those of them that sustain nothing within the SLO.
    pub(crate) points: usize,
    pub(crate) hopeless_points: usize,
}

/// What was made of an offered profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Taken,
    /// The one that is there is as new.
    Older,
}

/// All profiles of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Profiles(BTreeMap<String, Known>);

impl Profiles {
    /// Takes a profile's text. The error names the field.
    pub(crate) fn offer(&mut self, text: &str, origin: &str) -> Result<Offer, String> {
        let profile = Profile::from_json(text).map_err(|error| format!("{origin}: {error}"))?;
        if self.0.get(&profile.gpu).is_some_and(|known| known.profile.created >= profile.created) {
            return Ok(Offer::Older);
        }
        if self.0.len() >= MAX_PROFILES && !self.0.contains_key(&profile.gpu) {
            return Err(format!("{origin}: there are {MAX_PROFILES} profiles already"));
        }
        self.0.insert(profile.gpu.clone(), Known { profile, origin: origin.to_owned() });
        Ok(Offer::Taken)
    }

    /// The profile of a deployment: named after it, with or without namespace, or after its GPU type. The newest of them.
    pub(crate) fn of(&self, deployment: &Deployment) -> Option<&Known> {
        let names = [Some(deployment.key()), Some(deployment.name.clone()), deployment.gpu.clone()];
        let known = names.into_iter().flatten().filter_map(|name| self.0.get(&name));
        known.max_by(|a, b| a.profile.created.total_cmp(&b.profile.created))
    }

    /// All of them, for people.
    pub(crate) fn summaries(&self) -> Vec<Summary> {
        let summary = |known: &Known| {
            let rates = || known.profile.tputs.iter().flatten();
            Summary {
                gpu: known.profile.gpu.clone(),
                origin: known.origin.clone(),
                created: known.profile.created,
                slos: known.profile.slos,
                points: rates().count(),
                hopeless_points: rates().filter(|rate| **rate <= 0.0).count(),
            }
        };
        self.0.values().map(summary).collect()
    }
}

impl Known {
    /// The objectives, as people read them: `p99 e2e 5 s`.
    pub(crate) fn objective(&self) -> Option<String> {
        let slos = self.profile.slos?;
        let of = if slos.percentile > 0 { format!("p{}", slos.percentile) } else { "mean".to_owned() };
        let times = [("e2e", slos.e2e), ("ttft", slos.ttft), ("tpat", slos.tpat), ("tpot", slos.tpot)];
        let rates = [("requests/s", slos.tput), ("tokens/s", slos.tt)];
        let times = times.iter().filter_map(|(name, most)| Some(format!("{of} {name} below {} s", (*most)?)));
        let rates = rates.iter().filter_map(|(name, least)| Some(format!("at least {} {name}", (*least)?)));
        let parts: Vec<String> = times.chain(rates).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The mean latency that was measured at a size or at the next larger one, by objective: about what an SLO would have to allow.
    pub(crate) fn attainable(&self, input: f64, output: f64) -> Option<String> {
        let [outputs, inputs] = &self.profile.indexes;
        let (row, column) = (at_least(outputs, output), at_least(inputs, input));
        let at = |table: &Option<Vec<Vec<f64>>>| {
            let seconds = table.as_ref()?.get(row)?.get(column).copied()?;
            (seconds.is_finite() && seconds > 0.0).then_some(seconds)
        };
        let profile = &self.profile;
        let known = [("e2e", at(&profile.e2e)), ("ttft", at(&profile.ttft)), ("tpot", at(&profile.tpot))];
        let parts: Vec<String> =
            known.iter().filter_map(|(name, seconds)| Some(format!("{name} {:.3} s", (*seconds)?))).collect();
        let (output, input) = (outputs.get(row)?, inputs.get(column)?);
        let of = format!("measured at {input} prompt and {output} answer tokens, mean");
        (!parts.is_empty()).then(|| format!("{} ({of})", parts.join(", ")))
    }
}

/// The first point that is as large; the last where none is.
fn at_least(axis: &[f64], size: f64) -> usize {
    axis.partition_point(|point| *point < size).min(axis.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(gpu: &str, created: f64, rate: f64) -> String {
        json!({"gpu": gpu, "cost": 1.0, "tputs": [[rate]], "indexes": [[64], [128]], "created": created, "e2e": [[5.5]],
            "slos": {"percentile": 99, "e2e": 5.0}})
        .to_string()
    }

    fn deployment() -> Deployment {
        let gpu = Some("A100".to_owned());
        Deployment { namespace: "ml".to_owned(), name: "chat".to_owned(), gpu, ..Deployment::default() }
    }

    #[test]
    fn the_newer_profile_wins_whatever_comes_first() {
        let mut profiles = Profiles::default();
        for (created, rate, offer) in [(5.0, 1.0, Offer::Taken), (4.0, 2.0, Offer::Older), (5.0, 3.0, Offer::Older)] {
            assert_eq!(profiles.offer(&text("chat", created, rate), "test"), Ok(offer));
        }
        assert_eq!(profiles.offer(&text("chat", 6.0, 4.0), "test"), Ok(Offer::Taken));
        assert_eq!(profiles.of(&deployment()).unwrap().profile.tputs, [[4.0]]);
    }

    #[test]
    fn a_profile_is_found_by_any_of_its_names_and_the_newest_counts() {
        for gpu in ["chat", "ml/chat", "A100"] {
            let mut profiles = Profiles::default();
            profiles.offer(&text(gpu, 1.0, 1.0), "test").unwrap();
            assert!(profiles.of(&deployment()).is_some(), "{gpu}");
        }
        let mut profiles = Profiles::default();
        profiles.offer(&text("A100", 2.0, 7.0), "test").unwrap();
        profiles.offer(&text("chat", 1.0, 1.0), "test").unwrap();
        assert_eq!(profiles.of(&deployment()).unwrap().profile.tputs, [[7.0]]);
    }

    #[test]
    fn an_objective_and_what_would_be_attainable_are_said() {
        let mut profiles = Profiles::default();
        profiles.offer(&text("chat", 1.0, 0.0), "test").unwrap();
        let known = profiles.of(&deployment()).unwrap();
        assert_eq!(known.objective().as_deref(), Some("p99 e2e below 5 s"));
        let attainable = known.attainable(100.0, 70.0).unwrap();
        assert_eq!(attainable, "e2e 5.500 s (measured at 128 prompt and 64 answer tokens, mean)");
    }
}
