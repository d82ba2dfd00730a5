//! A message's content while it comes in, for the scanners: in memory while it is small, in a file without a name when not.
//!
//! They get it at its end, in one go. Whoever could let it trickle to them would make them give up on it.

use std::io::{self, SeekFrom};

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;

/// Octets that lie in memory.
const MEMORY_OCTETS_MAX: usize = 32 << 10;
/// Octets that are read at a time.
const PIECE_OCTETS: usize = 64 << 10;

/// Content, and where it is read next.
pub(super) enum Spool {
    Memory(Vec<u8>, usize),
    File(File),
}

impl Spool {
    pub(super) const fn new() -> Self {
        Self::Memory(Vec::new(), 0)
    }

    /// Takes the next piece.
    pub(super) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory, _) if memory.len().saturating_add(octets.len()) <= MEMORY_OCTETS_MAX => {
                memory.extend_from_slice(octets);
                Ok(())
            }
            Self::Memory(memory, _) => {
                let mut file = File::from_std(spawn_blocking(tempfile::tempfile).await??);
                file.write_all(memory).await?;
                file.write_all(octets).await?;
                *self = Self::File(file);
                Ok(())
            }
            Self::File(file) => file.write_all(octets).await,
        }
    }

    /// Goes back to the beginning.
    pub(super) async fn rewind(&mut self) -> io::Result<()> {
        self.rewind_to(0).await
    }

    /// Goes back to this octet.
    pub(super) async fn rewind_to(&mut self, octet: u64) -> io::Result<()> {
        match self {
            Self::Memory(_, read) => *read = usize::try_from(octet).unwrap_or(usize::MAX),
            Self::File(file) => {
                file.flush().await?;
                file.seek(SeekFrom::Start(octet)).await?;
            }
        }
        Ok(())
    }

    /// The next piece; empty at the end.
    pub(super) async fn read(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(memory, read) => {
                let piece = memory.get(*read..).unwrap_or_default().to_vec();
                *read = memory.len().max(*read);
                Ok(piece)
            }
            Self::File(file) => {
                let mut piece = vec![0; PIECE_OCTETS];
                let octets = file.read(&mut piece).await?;
                piece.truncate(octets);
                Ok(piece)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(spool: &mut Spool) -> Vec<u8> {
        spool.rewind().await.unwrap();
        let mut all = Vec::new();
        loop {
            let piece = spool.read().await.unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend(piece);
        }
    }

    #[tokio::test]
    async fn what_was_written_is_read_as_often_as_it_is_wanted() {
        for octets in [0, 1, MEMORY_OCTETS_MAX, MEMORY_OCTETS_MAX + 1, 10 * MEMORY_OCTETS_MAX + 7] {
            let content: Vec<u8> = (0..=250).cycle().take(octets).collect();
            let mut spool = Spool::new();
            for piece in content.chunks(10_000) {
                spool.write(piece).await.unwrap();
            }
            assert_eq!(matches!(spool, Spool::File(_)), octets > MEMORY_OCTETS_MAX);
            for _ in 0..2 {
                assert!(all(&mut spool).await == content, "{octets}");
            }
            let half = octets / 2;
            spool.rewind_to(u64::try_from(half).unwrap()).await.unwrap();
            let piece = spool.read().await.unwrap();
            assert!(content[half..].starts_with(&piece) && piece.is_empty() == (half == octets));
        }
    }
}
