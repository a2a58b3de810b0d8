//! Whether a text is one emoji: what a reaction can be.

/// Whether there is exactly one emoji, however many code points it is joined from.
pub(super) fn is_one(text: &str) -> bool {
    let mut signs = 0;
    let mut joined = false;
    let mut flag = false;
    for symbol in text.chars() {
        match symbol {
            // Variation, skin, tags of a flag, the frame of a key: they belong to the sign before them.
            '\u{FE0F}' | '\u{20E3}' | '\u{1F3FB}'..='\u{1F3FF}' | '\u{E0020}'..='\u{E007F}'
                if signs > 0 => {}
            '\u{200D}' if signs > 0 => joined = true,
            // Two letters make a flag.
            '\u{1F1E6}'..='\u{1F1FF}' if flag => flag = false,
            '\u{1F1E6}'..='\u{1F1FF}' => {
                flag = true;
                signs += 1;
            }
            symbol if is_sign(symbol, text) => {
                if !joined {
                    signs += 1;
                }
                joined = false;
            }
            _ => return false,
        }
    }
    signs == 1 && !joined && !flag
}

fn is_sign(symbol: char, text: &str) -> bool {
    match symbol {
        '0'..='9' | '#' | '*' => text.ends_with('\u{20E3}'),
        '\u{A9}' | '\u{AE}' => true,
        '\u{203C}'..='\u{3299}' => !symbol.is_alphanumeric(),
        '\u{1F000}'..='\u{1FAFF}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_one;

    #[test]
    fn one_emoji_is_one_and_all_else_is_not() {
        for one in ["👍", "❤️", "👍🏽", "👨‍👩‍👧", "🇧🇷", "1️⃣", "☺", "©", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
        {
            assert!(is_one(one), "{one}");
        }
        for other in ["", "a", "ok", "👍👍", "👍a", " ", "1", "é", "🇧", "中"] {
            assert!(!is_one(other), "{other}");
        }
    }
}
