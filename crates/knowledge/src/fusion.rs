//! Reciprocal rank fusion: one ranking of several.

use std::collections::HashMap;
use std::hash::Hash;

/// How little the very first ranks differ; 60 is what the method's authors found.
const K: f32 = 60.0;

/// Fuses rankings, best first, each with what its opinion weighs.
pub fn fuse<T: Copy + Eq + Hash + Ord>(rankings: &[(&[T], f32)], limit: usize) -> Vec<(T, f32)> {
    let mut scores: HashMap<T, f32> = HashMap::new();
    for (ranking, weight) in rankings {
        let mut rank = K;
        for item in *ranking {
            rank += 1.0;
            *scores.entry(*item).or_default() += weight / rank;
        }
    }
    let mut fused: Vec<_> = scores.into_iter().collect();
    fused.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused.truncate(limit);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_find_comes_first() {
        let fused = fuse(&[(&["a", "b", "c"], 1.0), (&["d", "b", "e"], 1.0)], 3);
        assert_eq!(fused[0].0, "b");
        assert_eq!(fused.len(), 3);
    }
}
