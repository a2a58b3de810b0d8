//! One slip of the finger: a letter too many, one missing, another one, or two that changed places.
//!
//! What differs at the ends of a word is mostly another word (an ending, a prefix), so slips are looked for
//! inside: the first letter stays, but for a silent `h`; at the end a letter can be struck twice, taken for its
//! neighbour, or be missing from a long word.

/// Shorter words have too many neighbours.
const SHORTEST: usize = 5;
/// A word of so many letters may lack its last one.
const LONG: usize = 9;

/// The rows of a keyboard.
const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

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
        ([key, rest @ ..], [meant, other @ ..]) if rest == other => {
            same > 0 && (!rest.is_empty() || are_neighbours(*key, *meant))
        }
        _ => false,
    }
}

/// Whether two keys lie side by side on a row.
fn are_neighbours(one: char, other: char) -> bool {
    let beside = |row: &str| {
        let place = |key: char| row.find(key);
        place(one).zip(place(other)).is_some_and(|(one, other)| one.abs_diff(other) == 1)
    };
    ROWS.into_iter().any(beside)
}

fn silent_h(with: &[char], without: &[char]) -> bool {
    matches!(with, ['h', rest @ ..] if rest == without)
}
