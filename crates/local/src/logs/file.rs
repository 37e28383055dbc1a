//! Log files that rotate within bounds, written by one thread that nobody waits for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::spec::LogLimits;

/// Lines that wait for the disk; beyond it they are lost. At the default cut of 8 KiB a line it is 8 MiB at most.
const QUEUE_LINES: usize = 1024;

/// The thread that writes all log files. It ends when the last [`LogFile`] and the writer itself are dropped.
#[derive(Debug)]
pub(crate) struct LogWriter {
    queue: SyncSender<Job>,
}

/// One replica's log file, with the older ones it has rotated to (`.1` is the youngest of these).
#[derive(Debug)]
pub(crate) struct LogFile {
    queue: SyncSender<Job>,
    target: Arc<Target>,
}

#[derive(Debug)]
enum Job {
    Append(Arc<Target>, Box<str>),
    Remove(Arc<Target>),
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    max_bytes: u64,
    files: u32,
    lost: AtomicU64,
    /// Touched by the writing thread alone.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

impl LogWriter {
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_LINES);
        thread::Builder::new().name("replica-logs".to_owned()).spawn(move || write_all(&jobs))?;
        Ok(Self { queue })
    }

    /// A file that is created with its first line. What is there from a run before becomes an older file.
    pub(crate) fn file(&self, path: PathBuf, limits: &LogLimits) -> LogFile {
        let target = Target {
            path,
            max_bytes: limits.file_bytes,
            files: limits.files,
            lost: AtomicU64::new(0),
            open: Mutex::new(None),
        };
        LogFile { queue: self.queue.clone(), target: Arc::new(target) }
    }
}

impl LogFile {
    /// Appends a line, if the queue has room.
    pub(crate) fn append(&self, line: &str) {
        let job = Job::Append(Arc::clone(&self.target), line.into());
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(job) {
            self.target.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes the files, if the queue has room (they are within bounds if they stay).
    pub(crate) fn remove(&self) {
        let _ = self.queue.try_send(Job::Remove(Arc::clone(&self.target)));
    }

    /// Lines that did not get into the file.
    pub(crate) fn lost(&self) -> u64 {
        self.target.lost.load(Ordering::Relaxed)
    }
}

fn write_all(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Append(target, line) => {
                if target.append(&line).is_err() {
                    target.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Job::Remove(target) => target.remove(),
        }
    }
}

impl Target {
    fn append(&self, line: &str) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let size = line.len() as u64 + 1;
        if open.as_ref().is_none_or(|open| open.size + size > self.max_bytes && open.size > 0) {
            // Closed before it is renamed, and so that a failure is tried anew with the next line.
            *open = None;
            self.rotate();
            let file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
            *open = Some(Open { file, size: 0 });
        }
        let Some(open) = open.as_mut() else { return Ok(()) };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        let written = open.file.write_all(&bytes);
        // On failure part of it may be there. Not counting the rest keeps a full disk from rotating good lines away.
        open.size = match &written {
            Ok(()) => open.size + size,
            Err(_) => open.file.metadata().map_or(open.size, |metadata| metadata.len()),
        };
        written
    }

    /// Moves each file one number up; the last is overwritten. What cannot be moved is truncated by the caller.
    fn rotate(&self) {
        for number in (1..self.files).rev() {
            let _ = fs::rename(numbered(&self.path, number - 1), numbered(&self.path, number));
        }
    }

    fn remove(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        for number in 0..self.files {
            let _ = fs::remove_file(numbered(&self.path, number));
        }
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: PathBuf, max_bytes: u64, files: u32) -> Target {
        Target { path, max_bytes, files, lost: AtomicU64::new(0), open: Mutex::new(None) }
    }

    #[test]
    fn files_rotate_within_their_bounds_and_a_former_run_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a-0.log");
        fs::write(&path, "former\n").unwrap();
        let target = target(path.clone(), 10, 2);
        let read = |number| fs::read_to_string(numbered(&path, number)).unwrap();
        target.append("one").unwrap();
        assert_eq!((read(0), read(1)), ("one\n".into(), "former\n".into()));
        target.append("two").unwrap();
        target.append("three").unwrap();
        assert_eq!((read(0), read(1)), ("three\n".into(), "one\ntwo\n".into()));
        target.append("longer than a file may be").unwrap();
        assert_eq!(read(1), "three\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        target.remove();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_lines_are_counted_as_lost() {
        let writer = LogWriter::start().unwrap();
        let file = writer.file("/dev/full/a.log".into(), &LogLimits::default());
        for _ in 0..3 {
            file.append("line");
        }
        let target = Arc::clone(&file.target);
        drop((file, writer));
        // The thread lets go of the target when it has seen all lines.
        while Arc::strong_count(&target) > 1 {
            thread::yield_now();
        }
        assert_eq!(target.lost.load(Ordering::Relaxed), 3);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_and_not_a_wait() {
        let target = target("/dev/full".into(), 10, 1);
        assert!(target.append("line").is_err());
        assert!(target.append("line").is_err());
    }
}
