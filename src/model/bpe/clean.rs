//! What CLIP does to a text before it looks for tokens: `ftfy.fix_text`, `html.unescape` twice, white space, lower case.
//!
//! Of ftfy this holds what changes well-encoded text: named and numeric character references, Windows-1252 control
//! codes, ligatures, full- and half-width forms, curly quotes, control characters, composition of letters and marks
//! (marks in canonical order). It leaves out ftfy's guesses at wrongly decoded text (`Ã©` for `é`).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::tables::{ALPHABETIC_BUT_NO_LETTER, COMPOSITIONS, ENTITIES, REWRITTEN};

/// Code points U+0080 to U+009F as Windows-1252 means them.
const WINDOWS_1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// U+FF61 to U+FF9F in full width.
const KATAKANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゙゚";
/// Longest name of a character reference that is looked up.
const LONGEST_ENTITY: usize = 32;

static NAMED: LazyLock<HashMap<&str, char>> = LazyLock::new(|| {
    let words: Vec<&str> = ENTITIES.split_whitespace().collect();
    let code = |hex: &str| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
    words.chunks_exact(2).filter_map(|pair| Some((pair[0], code(pair[1])?))).collect()
});

static COMPOSED: LazyLock<HashMap<(char, char), char>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    for (mark, pairs) in COMPOSITIONS {
        let letters: Vec<char> = pairs.chars().collect();
        table.extend(letters.chunks_exact(2).map(|pair| ((pair[0], *mark), pair[1])));
    }
    table
});

static REWRITES: LazyLock<HashMap<char, &str>> = LazyLock::new(|| REWRITTEN.iter().copied().collect());

/// The text as CLIP's tokenizer sees it: repaired, words joined by single spaces, lower case.
pub fn clean(text: &str) -> String {
    // Text with a `<` may be HTML on purpose: ftfy leaves its references alone.
    let text = if text.contains('<') { text.to_owned() } else { unescape(text, true) };
    let text = unescape(&unescape(&repair(&text), false), false);
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether a character is of the pattern class `\p{L}`.
pub fn is_letter(c: char) -> bool {
    // The table lists starts and ends in turn: inside a run the number of borders passed is odd.
    c.is_alphabetic()
        && !c.is_numeric()
        && ALPHABETIC_BUT_NO_LETTER.partition_point(|&border| border <= c as u32) % 2 == 0
}

/// Characters that have one plain form are brought to it, control characters go, marks join their letters.
fn repair(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if ('\u{80}'..='\u{9f}').contains(&c) { windows_1252(c) } else { c };
        match c {
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
            '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
            'ʼ' | '‘'..='‛' => out.push('\''),
            '“'..='‟' => out.push('"'),
            // Full-width ASCII lies at a constant distance from ASCII.
            '！'..='～' => out.extend(char::from_u32(c as u32 - 0xfee0)),
            '｡'..='ﾟ' => out.extend(KATAKANA.chars().nth(c as usize - 0xff61)),
            c => match REWRITES.get(&c) {
                Some(plain) => out.push_str(plain),
                None => push(&mut out, c),
            },
        }
    }
    out
}

fn windows_1252(c: char) -> char {
    WINDOWS_1252.chars().nth(c as usize - 0x80).unwrap_or(c)
}

/// Appends `c`, composed with the last character where Unicode has one character for both.
fn push(out: &mut String, c: char) {
    let composed = match c {
        '\u{300}'..='\u{36f}' => out.chars().next_back().and_then(|last| COMPOSED.get(&(last, c))),
        _ => None,
    };
    if composed.is_some() {
        out.pop();
    }
    out.push(composed.copied().unwrap_or(c));
}

/// Replaces HTML character references in one pass.
///
/// `strict` is ftfy's way: only references that end in a semicolon, and `&amp;lt;` becomes `<` at once. Otherwise
/// the rules of HTML hold, where `&copy` and even `&notit` (as `¬it`) are understood.
fn unescape(text: &str, strict: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut found = '&';
        while let Some((c, length)) = reference(rest, strict) {
            (found, rest) = (c, &rest[length..]);
            if !(strict && found == '&') {
                break;
            }
        }
        out.push(found);
    }
    out.push_str(rest);
    out
}

/// The character reference at the start of `text`, which follows an ampersand, and its length in bytes.
fn reference(text: &str, strict: bool) -> Option<(char, usize)> {
    if let Some(number) = text.strip_prefix('#') {
        let (digits, radix, prefix) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16, 2),
            None => (number, 10, 1),
        };
        let length = digits.bytes().take_while(|b| (*b as char).is_digit(radix)).count();
        let closed = digits[length..].starts_with(';');
        if length == 0 || (strict && !closed) {
            return None;
        }
        // A number too large for u32 stands for no character, as HTML has it.
        let c = match u32::from_str_radix(&digits[..length], radix) {
            Ok(code @ 0x80..=0x9f) => char::from_u32(code).map(windows_1252),
            Ok(0) | Err(_) => None,
            Ok(code) => char::from_u32(code),
        };
        return Some((c.unwrap_or('\u{fffd}'), prefix + length + usize::from(closed)));
    }
    let length = text.bytes().take(LONGEST_ENTITY).take_while(u8::is_ascii_alphanumeric).count();
    if text[length..].starts_with(';')
        && let Some(&c) = NAMED.get(&text[..length])
    {
        return Some((c, length + 1));
    }
    if strict {
        return None;
    }
    let open = |n: &usize| NAMED.get(&text[..*n]).filter(|c| (**c as u32) < 0x100 && &text[..*n] != "apos");
    (2..=length).rev().find_map(|n| Some((*open(&n)?, n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_as_by_the_peer() {
        // Expected values: open_clip's `_clean_lower` with ftfy 6.3.1.
        for (text, want) in [
            ("  A\tB\r\n C\u{a0}D ", "a b c d"),
            ("“x” ‘y’ ﬁ ﬄ", "\"x\" 'y' fi ffl"),
            ("&amp;amp;amp;lt; &copy 2 &notit; &bogus; &#65;&#x42 &#150;", "< © 2 ¬it; &bogus; ab –"),
            ("<p>&amp;lt;", "<p><"),
            ("cafe\u{301} e\u{323}\u{302}", "café ệ"),
            ("ＦＵＬＬ　ｶﾀｶﾅ", "full カタカナ"),
            ("a\u{0}b\u{feff}c", "abc"),
            ("\u{93}x\u{94} ǲ ŉ · \u{9dc}", "\"x\" dz 'n · \u{9a1}\u{9bc}"),
            ("ΌΣΟΣ", "όσος"),
        ] {
            assert_eq!(clean(text), want, "{text:?}");
        }
    }

    #[test]
    fn letters_are_what_the_pattern_class_says() {
        assert!("aéßжאअ日ªʰ".chars().all(is_letter));
        assert!("1½Ⅷ²_- \u{301}ⓐि€".chars().all(|c| !is_letter(c)));
    }

    #[test]
    fn hostile_references_take_linear_time() {
        let text = "&amp".repeat(50_000) + &"amp;".repeat(50_000) + &"&#".repeat(50_000);
        assert!(clean(&text).starts_with('&'));
    }
}
