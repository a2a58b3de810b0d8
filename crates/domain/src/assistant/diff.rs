//! What changed between two wordings, line by line.

use serde::Serialize;

/// Longer texts are compared as wholes: the table of the comparison is of this size squared.
const MAX_LINES: usize = 1_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is in both.
    Same,
    /// It is only in the later one.
    Added,
    /// It is only in the earlier one.
    Removed,
}

/// A line and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What became of it.
    pub change: Change,
    /// The line.
    pub text: String,
}

/// The lines of both texts, in order, with the longest common sequence kept.
#[must_use]
pub fn lines(earlier: &str, later: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (earlier.lines().collect(), later.lines().collect());
    let line = |change, text: &str| Line { change, text: text.to_owned() };
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        let removed = old.iter().map(|text| line(Change::Removed, text));
        return removed.chain(new.iter().map(|text| line(Change::Added, text))).collect();
    }
    // common[i][j]: the longest common sequence of what follows old[i] and new[j].
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut diff = vec![];
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            diff.push(line(Change::Same, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            diff.push(line(Change::Removed, old[i]));
            i += 1;
        } else {
            diff.push(line(Change::Added, new[j]));
            j += 1;
        }
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn either_text_can_be_read_from_the_difference(
            old in "([ab]\n){0,8}", new in "([ab]\n){0,8}",
        ) {
            let diff = lines(&old, &new);
            let without = |left_out: Change| {
                let kept = diff.iter().filter(|line| line.change != left_out);
                kept.map(|line| line.text.as_str()).collect::<Vec<_>>()
            };
            prop_assert_eq!(without(Change::Added), old.lines().collect::<Vec<_>>());
            prop_assert_eq!(without(Change::Removed), new.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_stays_is_kept() {
        let diff = lines("a\nb\nc", "a\nx\nc");
        let changes: Vec<Change> = diff.iter().map(|line| line.change).collect();
        assert_eq!(changes, [Change::Same, Change::Removed, Change::Added, Change::Same]);
    }
}
