//! One slip of the finger: a letter too many, one missing, another one, or two that changed places.
//!
//! What differs at the ends of a word is mostly another word (an ending, a prefix), so slips are looked for
//! inside: the first letter stays, but for a silent `h`; at the end a letter can be struck twice, or be
//! missing from a long word.

/// Shorter words have too many neighbours.
const SHORTEST: usize = 5;
/// A word of so many letters may lack its last one.
const LONG: usize = 9;

/// Whether `written` is `meant` with one slip.
pub(super) fn is_slip(written: &str, meant: &str) -> bool {
    let (written, meant): (Vec<char>, Vec<char>) =
        (written.chars().collect(), meant.chars().collect());
    if meant.len() < SHORTEST || written.len().abs_diff(meant.len()) > 1 {
        return false;
    }
    if silent_h(&written, &meant) || silent_h(&meant, &written) {
        return true;
    }
    let same = written.iter().zip(&meant).take_while(|(one, other)| one == other).count();
    let (rest_written, rest_meant) = (&written[same..], &meant[same..]);
    match (rest_written, rest_meant) {
        ([extra], []) => written.get(same.wrapping_sub(1)) == Some(extra),
        ([], [_]) => meant.len() >= LONG,
        ([_, rest @ ..], whole) if rest == whole => same > 0,
        (whole, [_, rest @ ..]) if rest == whole => same > 0,
        ([a, b, rest @ ..], [c, d, other @ ..]) if a == d && b == c && rest == other => true,
        ([_, rest @ ..], [_, other @ ..]) if rest == other => same > 0 && !rest.is_empty(),
        _ => false,
    }
}

fn silent_h(with: &[char], without: &[char]) -> bool {
    matches!(with, ['h', rest @ ..] if rest == without)
}
