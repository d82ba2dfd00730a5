//! How a script's octets are cut up on their way: a server must not care.

/// How the client's octets are cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chopping {
    /// As the script has them: lines in a row in one write.
    Whole,
    /// One octet at a time.
    Octets,
    /// In pieces of a few octets, now more and now fewer.
    Pieces,
    /// In two, behind so many octets of all that the script says.
    At(usize),
    /// As [`Self::Whole`], and without waiting for replies where a client need not (RFC 2920 §3.1).
    Pipelined,
}

/// How many octets [`Chopping::Pieces`] sends at a time, in turn.
const PIECES: [usize; 8] = [1, 2, 21, 3, 8, 5, 34, 13];

impl Chopping {
    /// The sizes of the pieces of a write of so many octets, in front of which the script had `before`.
    pub(crate) fn sizes(self, before: usize, octets: usize) -> Vec<usize> {
        match self {
            Self::Whole | Self::Pipelined => vec![octets],
            Self::Octets => vec![1; octets],
            Self::Pieces => {
                let mut left = octets;
                let piece = |&size: &usize| {
                    let piece = left.min(size);
                    left -= piece;
                    (piece > 0).then_some(piece)
                };
                PIECES.iter().cycle().map_while(piece).collect()
            }
            Self::At(at) => match at.checked_sub(before) {
                Some(front) if front < octets => vec![front, octets - front],
                Some(_) | None => vec![octets],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_in_one_piece() {
        assert_eq!(Chopping::Pieces.sizes(0, 30), [1, 2, 21, 3, 3]);
        assert_eq!(Chopping::At(7).sizes(5, 10), [2, 8]);
        assert_eq!(Chopping::At(7).sizes(7, 10), [0, 10]);
        assert_eq!(Chopping::At(7).sizes(0, 7), [7]);
        assert_eq!(Chopping::At(7).sizes(8, 3), [3]);
    }
}
