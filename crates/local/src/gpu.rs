//! Which GPUs this machine offers: given, or found.
//!
//! Looks at the machine once, at the start. It must not know who uses the GPUs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Where the GPUs that replicas share come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gpus {
    /// Found: `CUDA_VISIBLE_DEVICES` if set, else what `nvidia-smi -L` lists, else `/proc/driver/nvidia/gpus`.
    #[default]
    Detect,
    /// This many: the first of `CUDA_VISIBLE_DEVICES` if it names as many, else `0`, `1`, ….
    Count(u32),
    /// These, as `CUDA_VISIBLE_DEVICES` would name them.
    Devices(Vec<String>),
}

/// `nvidia-smi` takes seconds where persistence mode is off and hangs where a GPU has fallen off the bus.
const NVIDIA_SMI_PATIENCE: Duration = Duration::from_secs(20);

impl Gpus {
    /// The devices' names, each once. May wait for `nvidia-smi`.
    pub(crate) fn devices(&self) -> Vec<String> {
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        match self {
            Self::Devices(devices) => unique(devices.iter().map(String::as_str)),
            Self::Count(count) => counted(*count, visible.as_deref()),
            Self::Detect => match visible {
                Some(visible) => parse_visible(&visible),
                None => numbered(nvidia_smi().or_else(proc_driver).unwrap_or(0)),
            },
        }
    }
}

fn counted(count: u32, visible: Option<&str>) -> Vec<String> {
    let wanted = count as usize;
    match visible.map(parse_visible) {
        Some(mut devices) if devices.len() >= wanted => {
            devices.truncate(wanted);
            devices
        }
        _ => numbered(wanted),
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| index.to_string()).collect()
}

fn unique<'a>(devices: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    devices.filter(|device| seen.insert(*device)).map(str::to_owned).collect()
}

/// As CUDA reads it: the list ends at the first entry that names no device (CUDA C++ Programming Guide,
/// "CUDA Environment Variables").
fn parse_visible(list: &str) -> Vec<String> {
    let valid = |device: &&str| {
        let is_index = !device.is_empty() && device.bytes().all(|c| c.is_ascii_digit());
        is_index || device.starts_with("GPU-") || device.starts_with("MIG-")
    };
    unique(list.split(',').map(str::trim).take_while(valid))
}

/// Asked on a thread of its own, which is left behind if the driver hangs.
fn nvidia_smi() -> Option<usize> {
    let (answer, asked) = mpsc::channel();
    thread::spawn(move || {
        let output = Command::new("nvidia-smi").arg("-L").stdin(Stdio::null()).stderr(Stdio::null()).output();
        answer.send(output)
    });
    let output = asked.recv_timeout(NVIDIA_SMI_PATIENCE).ok()?.ok()?;
    output.status.success().then(|| count_listed(&String::from_utf8_lossy(&output.stdout)))
}

/// MIG slices are listed indented below their GPU; only whole GPUs are counted.
fn count_listed(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("GPU ")).count()
}

fn proc_driver() -> Option<usize> {
    std::fs::read_dir(Path::new("/proc/driver/nvidia/gpus")).ok().map(Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_list_ends_at_the_first_entry_that_is_no_device() {
        assert_eq!(parse_visible("2, 3"), ["2", "3"]);
        assert_eq!(parse_visible("0,1,-1,2"), ["0", "1"]);
        assert_eq!(parse_visible("GPU-8932f937,MIG-a"), ["GPU-8932f937", "MIG-a"]);
        assert_eq!(parse_visible("1,1"), ["1"]);
        assert_eq!(parse_visible(""), Vec::<String>::new());
        assert_eq!(parse_visible("NoDevFiles"), Vec::<String>::new());
    }

    #[test]
    fn a_count_takes_the_first_visible_devices() {
        assert_eq!(counted(2, Some("4,5,6")), ["4", "5"]);
        assert_eq!(counted(2, Some("4")), ["0", "1"]);
        assert_eq!(counted(2, None), ["0", "1"]);
        assert_eq!(counted(0, None), Vec::<String>::new());
    }

    #[test]
    fn whole_gpus_are_counted_and_not_their_slices() {
        let listed = "GPU 0: NVIDIA A100 (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-2)\nGPU 1: NVIDIA A100 (UUID: GPU-3)\n";
        assert_eq!(count_listed(listed), 2);
    }
}
