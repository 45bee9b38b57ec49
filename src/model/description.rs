//! What may stand in an `error_description`?

use std::fmt;

/// Text for people in an OAuth error: printable ASCII without `"` and `\` (RFC 6749 §5.2), whatever it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Quotes and dashes are written plainly; what is left over becomes `?`.
    pub fn new(text: &str) -> Self {
        Self(text.chars().map(plain).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn plain(letter: char) -> char {
    match letter {
        '"' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => '\'',
        '\u{2013}' | '\u{2014}' => '-',
        '\\' => '/',
        ' '..='~' => letter,
        other if other.is_whitespace() => ' ',
        _ => '?',
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_said_is_said_plainly() {
        let text = Description::new(
            "the \u{201c}caller\u{2019}s\u{201d} \"\\\u{e9}\" \u{2014} RFC\u{a0}7523 \u{a7}2.2\n",
        );
        assert_eq!(text.as_str(), "the 'caller's' '/?' - RFC 7523 ?2.2 ");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_that_the_standard_allows(text in any::<String>()) {
            let made = Description::new(&text);
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            prop_assert!(made.as_str().bytes().all(allowed), "{made}");
            prop_assert_eq!(made.as_str().chars().count(), text.chars().count());
        }
    }
}
