//! A file system that fails when it is told to.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use crate::audit::storage::{Disk, Storage, StoredFile};

/// Fails the operations of a range.
#[derive(Debug, Clone, Default)]
pub(super) struct Faulty {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    operations: u64,
    fail_from: Option<u64>,
    fail_until: u64,
    /// whether a write that fails leaves half of its bytes behind
    torn: bool,
    hanging: bool,
    /// names of the threads that did something
    threads: BTreeSet<String>,
}

impl Faulty {
    /// From the operation of that number on, lets `count` operations fail.
    pub(super) fn fail(&self, from: u64, count: u64, torn: bool) {
        let mut state = self.state.0.lock().unwrap();
        (state.fail_from, state.fail_until) = (Some(from), from.saturating_add(count));
        state.torn = torn;
    }

    /// Lets every operation from now on fail, or none.
    pub(super) fn fail_now(&self, fails: bool) {
        let now = self.operations();
        self.fail(now, if fails { u64::MAX } else { 0 }, false);
    }

    /// Lets every operation hang until it is told otherwise.
    pub(super) fn hang(&self, hangs: bool) {
        self.state.0.lock().unwrap().hanging = hangs;
        self.state.1.notify_all();
    }

    pub(super) fn operations(&self) -> u64 {
        self.state.0.lock().unwrap().operations
    }

    /// Whether a thread of that name did something.
    pub(super) fn has_seen(&self, thread: &str) -> bool {
        self.state.0.lock().unwrap().threads.contains(thread)
    }

    /// Counts an operation. Returns whether a failing write leaves something behind.
    fn step(&self) -> Result<(), (io::Error, bool)> {
        let mut state = self.state.0.lock().unwrap();
        while state.hanging {
            state = self.state.1.wait(state).unwrap();
        }
        let number = state.operations;
        state.operations += 1;
        state.threads.extend(std::thread::current().name().map(str::to_owned));
        match state.fail_from {
            Some(from) if (from..state.fail_until).contains(&number) => {
                Err((io::Error::from(io::ErrorKind::StorageFull), state.torn))
            }
            _ => Ok(()),
        }
    }
}

impl Storage for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.step().map_err(|(error, _)| error)?;
        Ok(Box::new(FaultyFile { faults: self.clone(), file: Disk.create(path)? }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.step().map_err(|(error, _)| error)?;
        Ok(Box::new(FaultyFile { faults: self.clone(), file: Disk.open(path)? }))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step().map_err(|(error, _)| error)?;
        Disk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step().map_err(|(error, _)| error)?;
        Disk.remove(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    faults: Faulty,
    file: Box<dyn StoredFile>,
}

impl StoredFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.faults.step() {
            Ok(()) => self.file.write_at(bytes, offset),
            Err((error, torn)) => {
                if torn {
                    self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
                }
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.step().map_err(|(error, _)| error)?;
        self.file.sync()
    }
}
