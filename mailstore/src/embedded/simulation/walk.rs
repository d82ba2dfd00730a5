//! The life of one store: opened, used, cut off at any moment, and opened again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::checkpoint::Ending;
use super::super::compaction::Memory;
use super::super::layout::Layout;
use super::backups::Backups;
use super::disk::{Sabotage, SimulatedDisk};
use super::image::Platter;
use super::messages::compose;
use super::model::{Asked, Model};
use super::proof::{Proof, ProofPlan};
use super::random::Random;
use super::session::{ROOT, Session};
use super::view::Step;
use super::workload::Workload;

/// Most batches that a session asks.
const BATCHES_MAX: usize = 6;
/// About so many operations open a store.
const OPENING_OPERATIONS: usize = 16;
/// Sizes of a segment, chosen at each start.
const SEGMENT_OCTETS: [u64; 3] = [4 << 10, 32 << 10, 128 << 20];

/// The life of one store.
pub(super) struct Walk<'a> {
    random: Random,
    sabotage: Sabotage,
    local: &'a Path,
    /// The index of the next session; an empty one is made where there is none.
    index: PathBuf,
    indexes: u64,
    platter: Platter,
    model: Model,
    last_token: u64,
    pub(super) backups: Backups,
    pub(super) proof: Proof,
}

impl<'a> Walk<'a> {
    pub(super) fn begin(plan: &ProofPlan, local: &'a Path) -> Self {
        Self {
            random: Random::new(plan.seed),
            sabotage: plan.sabotage,
            local,
            index: local.join("index-0"),
            indexes: 0,
            platter: Platter::default(),
            model: Model::default(),
            last_token: 0,
            backups: Backups::new(plan.seed, plan.sabotage),
            proof: Proof::default(),
        }
    }

    /// Opens the store, looks whether everything is as promised, uses it, and cuts it off at some moment.
    pub(super) async fn session(&mut self) -> Result<(), String> {
        let before = self.model.clone();
        let session = self.open().await?;
        let opened = session.disk.operations();
        let settled = self.model.clone();
        let asked = self.use_store(&session).await?;
        let closed = self.random.one_in(8);
        let ending = if closed { Ending::Closed } else { Ending::Abandoned };
        let disk = session.end(ending).await;
        let end = disk.operations();
        let cut = if closed || self.random.one_in(4) { end } else { self.moment(end, &asked) };
        self.platter = disk.after(cut);
        if self.random.below(4) > 0 {
            let platter = std::mem::take(&mut self.platter);
            self.platter = platter.lose_power(&mut self.random);
            self.proof.power_cuts = self.proof.power_cuts.saturating_add(1);
        }
        self.backups.crash(cut)?;
        self.proof.cuts = self.proof.cuts.saturating_add(1);
        if cut < opened {
            self.proof.during_recovery = self.proof.during_recovery.saturating_add(1);
            self.model.go_back_to(before);
        } else {
            self.model.go_back_to(settled);
            self.remember(asked, cut)?;
        }
        let restored = self.backups.perhaps_restore(self.local).await?;
        self.proof.restored = self.proof.restored.saturating_add(u64::from(restored));
        let state = if closed {
            IndexState::Closed
        } else if cut == end {
            IndexState::Fits
        } else {
            IndexState::Ahead
        };
        self.choose_index(state).map_err(|error| format!("the folder of the indexes failed: {error}"))
    }

    /// The last look, with an empty index.
    pub(super) async fn look_once_more(&mut self) -> Result<(), String> {
        self.empty_index();
        let session = self.open().await?;
        session.end(Ending::Closed).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<Session, String> {
        let kept = self.index.exists();
        let disk = SimulatedDisk::new(self.platter.clone(), self.local, self.sabotage);
        let mut layout = Layout::apart(Path::new(ROOT), self.local);
        layout.index.clone_from(&self.index);
        layout.segment_octets_max =
            self.random.pick(&SEGMENT_OCTETS).copied().unwrap_or(layout.segment_octets_max);
        let session = Session::open(Arc::new(disk), layout)?;
        let found = session.look(&self.model).await?;
        self.model.settle(&found)?;
        if kept || self.random.one_in(16) {
            let folder = self.local.join("rebuild");
            session.compare_with_rebuild(&folder)?;
            fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
        }
        Ok(session)
    }

    fn empty_index(&mut self) {
        self.indexes = self.indexes.saturating_add(1);
        self.index = self.local.join(format!("index-{}", self.indexes));
    }

    /// The index after a crash is the one that was there, an older one, or none.
    fn choose_index(&mut self, state: IndexState) -> io::Result<()> {
        let older = self.local.join("older");
        let used = self.index.clone();
        let keep = match state {
            IndexState::Closed => self.random.one_in(2),
            IndexState::Fits => {
                if self.random.one_in(2) {
                    remove_folder(&older)?;
                    copy_folder(&used, &older)?;
                }
                self.random.one_in(2)
            }
            IndexState::Ahead => false,
        };
        if keep {
            return Ok(());
        }
        self.empty_index();
        if older.exists() && self.random.one_in(3) {
            copy_folder(&older, &self.index)?;
        }
        remove_folder(&used)
    }

    /// Asks some batches of steps; all of them are answered for, later than the crash or not.
    async fn use_store(&mut self, session: &Session) -> Result<Vec<Asked>, String> {
        let mut all = Vec::new();
        for _ in 0..self.random.below(BATCHES_MAX) {
            let mut workload = Workload { random: &mut self.random, last_token: &mut self.last_token };
            let batch = workload.batch(self.model.view());
            let company = if batch.len() == 1 { Company::Alone } else { Company::Others };
            for step in &batch {
                if let Step::Deliver { token, .. } = step {
                    let octets = self.octets(company);
                    self.model.send(*token, compose(*token, octets));
                }
            }
            let answers = session.ask(batch, &self.model).await?;
            for Asked { step, sequence, .. } in &answers {
                self.model.answered(step, *sequence)?;
            }
            all.extend(answers);
            if self.random.one_in(4) {
                session.checkpoint()?;
            }
            self.backups.perhaps_take(session, &self.model, self.local).await?;
            if self.random.one_in(2)
                && let Some(segment) = self.random.pick(&session.segments()).copied()
            {
                let forgets = self.sabotage == Sabotage::ForgottenDeletions;
                let memory = if forgets { Memory::Forgets } else { Memory::Keeps };
                let gone = session.compact(segment, memory).await?;
                self.proof.compacted = self.proof.compacted.saturating_add(u64::from(gone));
            }
        }
        Ok(all)
    }

    /// Size of a message; large content is written by itself, so that a seed always gives the same order.
    fn octets(&mut self, company: Company) -> usize {
        match (company, self.random.below(24)) {
            (Company::Alone, 0) => 300_000,
            (Company::Alone, 1..=8) => 7_000_usize.saturating_add(self.random.below(9000)),
            (Company::Alone, 9..=14) => self.random.below(6000),
            (Company::Alone | Company::Others, _) => self.random.below(900),
        }
    }

    /// Any moment, and more often one right after an answer, or while the store opens.
    fn moment(&mut self, end: usize, asked: &[Asked]) -> usize {
        let answered = self.random.pick(asked).map(|asked| asked.answered);
        match (self.random.below(4), answered) {
            (0, Some(answered)) => answered,
            (1, _) => self.random.below(end.min(OPENING_OPERATIONS)),
            _ => self.random.below(end.saturating_add(1)),
        }
    }

    /// The model as it is for somebody who saw the answers up to the crash.
    fn remember(&mut self, asked: Vec<Asked>, cut: usize) -> Result<(), String> {
        for Asked { step, begin: asked, answered, sequence } in asked {
            if answered <= cut {
                self.proof.acknowledged = self.proof.acknowledged.saturating_add(1);
                self.model.answered(&step, sequence)?;
            } else if asked < cut {
                self.proof.unanswered = self.proof.unanswered.saturating_add(1);
                self.model.unanswered(step);
            }
        }
        Ok(())
    }
}

/// What an index knows, compared with the store after the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexState {
    /// As much, and it says that the store was closed in order.
    Closed,
    /// As much.
    Fits,
    /// What came after the crash as well, which no index can.
    Ahead,
}

/// Whether a step is asked with others at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Alone,
    Others,
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
