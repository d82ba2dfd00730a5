//! The known word that is nearest to an unknown one, for error texts.

/// `did you mean X?`, or all known words where none is near; `show` puts the marks around a word.
pub(super) fn nearest(unknown: &str, known: &[&str], show: impl Fn(&str) -> String) -> String {
    // A third of the word may be wrong, two letters in any case.
    let distance_max = (unknown.chars().count() / 3).max(2);
    let near = known
        .iter()
        .map(|word| (distance(unknown, word), *word))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, word)) = near {
        return format!("did you mean {}?", show(word));
    }
    let words: Vec<_> = known.iter().map(|word| show(word)).collect();
    format!("known are {}", words.join(", "))
}

/// How many letters must be put in, taken out or changed to get from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = index + 1;
        next.push(left);
        for (above, other) in row.windows(2).zip(to.chars()) {
            let [diagonal, above] = above else { break };
            left = (diagonal + usize::from(letter != other)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("smpt", "smtp"), 2);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn the_nearest_word_is_offered_and_without_one_all() {
        let known = ["hostname", "domains"];
        assert_eq!(nearest("hostnmae", &known, str::to_owned), "did you mean hostname?");
        assert_eq!(nearest("certificate", &known, str::to_owned), "known are hostname, domains");
    }
}
