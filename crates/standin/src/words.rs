//! Tokens of the stand-in: words.

/// What the engine says, over and over.
const WORDS: [&str; 12] =
    ["the", " engine", " stands", " in", " for", " one", " that", " costs", " a", " GPU", " hour", " so"];

/// Tokens of a text: its whitespace-separated words. A longer count than fits is as good as the largest.
pub(crate) fn count(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

/// The words of tokens `from` to `to` (exclusive) of an answer; each is one token.
pub(crate) fn text(from: u32, to: u32) -> String {
    let mut text = String::with_capacity((to.saturating_sub(from) as usize).saturating_mul(7));
    for index in from..to {
        let word = WORDS[index as usize % WORDS.len()];
        // Only the very first word begins without a space.
        if index > 0 && !word.starts_with(' ') {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_as_many_words_as_tokens_however_it_is_cut() {
        let whole = text(0, 100);
        assert_eq!(count(&whole), 100);
        assert_eq!(whole, text(0, 13) + &text(13, 50) + &text(50, 100));
    }
}
