//! Bodies in the relaxed form, as far as the library does not make it right.

/// Reduces blanks in a body as the relaxed form does (RFC 6376 §3.4.4): the library takes blank lines at its end for empty
/// ones only where they hold no blanks.
#[derive(Default)]
pub(crate) struct Blanks {
    /// The octets before were blanks.
    pending: bool,
}

impl Blanks {
    pub(crate) fn reduced(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut reduced = Vec::with_capacity(piece.len() + 1);
        for octet in piece {
            let is_blank = matches!(octet, b' ' | b'\t');
            if !is_blank {
                if self.pending && !matches!(octet, b'\r' | b'\n') {
                    reduced.push(b' ');
                }
                reduced.push(*octet);
            }
            self.pending = is_blank;
        }
        reduced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_one_space_and_none_before_a_line_end() {
        let body = b"\t a \t b\t\r\n \t\r\nc  ";
        for piece_octets in 1..body.len() {
            let mut blanks = Blanks::default();
            let pieces = body.chunks(piece_octets).map(|piece| blanks.reduced(piece));
            assert_eq!(pieces.collect::<Vec<_>>().concat(), b" a b\r\n\r\nc");
        }
    }
}
