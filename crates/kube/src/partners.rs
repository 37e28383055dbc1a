//! What targets that serve one model together say to each other: each object's worker decides alone, and leaves here what it asks
//! for and what it gets. Must not know what follows from it.

use autoscaler_core::coordination::{Partner, Side};
use autoscaler_core::spec::Coordination;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What was said last, by namespace and object. It is as large as there are objects: who goes is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Partners(Mutex<BTreeMap<String, BTreeMap<String, Partner>>>);

impl Partners {
    /// Takes what an object says; without a role or anything to say it is silent.
    pub(crate) fn say(&self, namespace: &str, name: &str, of: Option<&Coordination>, side: Option<Side>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((coordination, side)) = of.zip(side) else {
            if let Some(own) = all.get_mut(namespace) {
                own.remove(name);
                all.retain(|_, objects| !objects.is_empty());
            }
            return;
        };
        let partner = Partner { name: name.to_owned(), coordination: coordination.clone(), side };
        all.entry(namespace.to_owned()).or_default().insert(name.to_owned(), partner);
    }

    /// What the others of its group have said.
    pub(crate) fn of(&self, namespace: &str, name: &str, of: Option<&Coordination>) -> Vec<Partner> {
        let Some(of) = of else { return Vec::new() };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = all.get(namespace).into_iter().flat_map(BTreeMap::values);
        others.filter(|other| other.name != name && other.coordination.group == of.group).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_core::Timestamp;

    fn role(group: &str, role: &str) -> Coordination {
        Coordination { group: group.to_owned(), role: role.to_owned() }
    }

    #[test]
    fn an_object_hears_the_others_of_its_group_and_namespace_until_they_fall_silent() {
        let (partners, prefill, decode) = (Partners::default(), role("chat", "prefill"), role("chat", "decode"));
        let side = Some(Side { at: Timestamp(5), wanted: 6, granted: 3 });
        partners.say("ml", "p", Some(&prefill), side);
        partners.say("ml", "d", Some(&decode), side);
        let heard = |namespace: &str, name: &str, of: &Coordination| -> Vec<String> {
            partners.of(namespace, name, Some(of)).into_iter().map(|one| one.name).collect()
        };
        assert_eq!(heard("ml", "d", &decode), ["p"]);
        assert_eq!(heard("ml", "other", &role("code", "decode")), [""; 0]);
        assert_eq!(heard("elsewhere", "d", &decode), [""; 0]);
        assert!(partners.of("ml", "plain", None).is_empty());
        partners.say("ml", "p", Some(&prefill), None);
        assert_eq!(heard("ml", "d", &decode), [""; 0]);
        partners.say("ml", "d", None, side);
        assert!(partners.0.lock().unwrap().is_empty(), "nothing is left behind");
    }
}
