//! From a spec, ports and GPUs to what is run: command, environment, directory. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::spec::GroupSpec;
use crate::template::{self, Values};

/// Which GPUs one start of a replica may see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Visible<'a> {
    /// These; none at all hides all.
    Only(&'a [String]),
    /// Whatever this process sees: no group asks for GPUs.
    Unmanaged,
}

/// One start of one replica, with every placeholder filled in.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: Option<PathBuf>,
}

impl Launch {
    pub(crate) fn new(spec: &GroupSpec, values: &Values<'_>, gpus: Visible<'_>) -> Self {
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        if let Visible::Only(devices) = gpus {
            env.insert("CUDA_VISIBLE_DEVICES".to_owned(), devices.join(","));
            // Numbers mean what nvidia-smi shows, not CUDA's default of fastest first.
            env.insert("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned());
        }
        // After ours, so that a group that asks for no GPU may still say what it sees.
        env.extend(spec.env.iter().map(|(key, value)| (key.clone(), template::expand(value, values))));
        let command = spec.command.iter().map(|argument| template::expand(argument, values)).collect();
        Self { command, env, working_dir: spec.working_dir.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(spec: &GroupSpec, gpus: Visible<'_>) -> Launch {
        let ports = BTreeMap::from([("http".to_owned(), 8001)]);
        Launch::new(spec, &Values { ports: &ports, index: 2, name: "a-2" }, gpus)
    }

    #[test]
    fn placeholders_are_filled_in_in_arguments_and_variables() {
        let mut spec = GroupSpec::new("a", ["engine", "--port={port}"]);
        spec.env.insert("ID".into(), "{name}/{index}".into());
        let launch = launch(&spec, Visible::Unmanaged);
        assert_eq!(launch.command, ["engine", "--port=8001"]);
        assert_eq!(launch.env, BTreeMap::from([("ID".into(), "a-2/2".into())]));
    }

    #[test]
    fn managed_gpus_are_named_and_none_means_none() {
        let spec = GroupSpec::new("a", ["engine", "{port}"]);
        let gpus = ["2".to_owned(), "3".to_owned()];
        assert_eq!(launch(&spec, Visible::Only(&gpus)).env["CUDA_VISIBLE_DEVICES"], "2,3");
        assert_eq!(launch(&spec, Visible::Only(&[])).env["CUDA_VISIBLE_DEVICES"], "");
    }

    #[test]
    fn a_group_without_gpus_may_say_what_it_sees() {
        let mut spec = GroupSpec::new("a", ["engine", "{port}"]);
        spec.env.insert("CUDA_VISIBLE_DEVICES".into(), "7".into());
        assert_eq!(launch(&spec, Visible::Only(&[])).env["CUDA_VISIBLE_DEVICES"], "7");
    }
}
