//! CLIP's byte-pair tokenizer: a text becomes the ids that the text tower reads (open_clip `tokenizer.py`).
//!
//! A word starts as its bytes, the last of them marked as the end of the word. Then neighbours are merged, always the
//! pair that stands first in the published list of merges, until no pair is in the list.

mod clean;
mod tables;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{BufRead, BufReader};

use burn::prelude::*;
use clean::{clean, is_letter};
use flate2::read::GzDecoder;

use crate::platform::assets::{self, Asset, AssetError};

/// Merges of the published vocabulary (OpenAI CLIP, MIT licence), one a line after a title line; the file has more.
const MERGES: usize = 49_152 - 256 - 2;
/// Ids of single bytes, inside a word and at its end.
const BYTES: usize = 512;
/// Endings that are words of their own. (Upper case is gone by then; `ſ` is an `s` where case does not count.)
const ENDINGS: [&str; 8] = ["'s", "'ſ", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The tokenizer.
#[derive(Clone, Debug)]
pub struct Bpe {
    /// Id of the token that a pair of tokens merges to. Ids rise in the order of the list, so the lowest goes first.
    merges: HashMap<(u32, u32), u32>,
    /// Id of each byte inside a word; at the end of a word it is 256 higher.
    bytes: [u32; 256],
    /// Id of the start token; the end token's is one higher.
    start: u32,
    /// Texts that stand for the start and the end token themselves.
    specials: [&'static str; 2],
}

impl Bpe {
    /// The tokenizer of open_clip and HPSv2 with `vocab_size` ids: 512 bytes, the first merges, start and end.
    ///
    /// 49408 is the published vocabulary; a smaller one has the same merges as far as they go. Sizes are limited to
    /// 514 (bytes only) to 49408.
    ///
    /// # Errors
    /// Where a page has not fetched the list of merges.
    pub fn new(vocab_size: usize) -> Result<Self, AssetError> {
        let count = vocab_size.clamp(BYTES + 2, BYTES + MERGES + 2) - BYTES - 2;
        let alphabet = alphabet();
        let mut bytes = [0; 256];
        let mut ids = HashMap::with_capacity(BYTES + count);
        for (id, (byte, symbol)) in (0u32..).zip(alphabet) {
            bytes[byte as usize] = id;
            ids.insert(symbol.to_string(), id);
            ids.insert(format!("{symbol}</w>"), id + 256);
        }
        let mut merges = HashMap::with_capacity(count);
        let lines = BufReader::new(GzDecoder::new(assets::get(Asset::Vocabulary)?)).lines().skip(1).take(count);
        for (id, line) in (BYTES as u32..).zip(lines) {
            let line = line.expect("the embedded list is valid gzip and UTF-8");
            let (left, right) = line.split_once(' ').expect("a merge is two symbols");
            merges.insert((ids[left], ids[right]), id);
            ids.insert(format!("{left}{right}"), id);
        }
        Ok(Self { merges, bytes, start: (BYTES + count) as u32, specials: ["<start_of_text>", "<end_of_text>"] })
    }

    /// OpenAI's own tokenizer: the same but for the texts of the start and end tokens.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn openai(vocab_size: usize) -> Result<Self, AssetError> {
        Ok(Self { specials: ["<|startoftext|>", "<|endoftext|>"], ..Self::new(vocab_size)? })
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.start as usize + 2
    }

    /// Id of the token in front of every text.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Id of the token behind every text: the highest of all, which is how the text tower finds it.
    pub fn end(&self) -> u32 {
        self.start + 1
    }

    /// Ids of a text, without start and end.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = clean(text);
        let mut ids = vec![];
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(self.word_length(rest));
            match self.specials.iter().position(|&special| special == word) {
                Some(special) => ids.push(self.start + special as u32),
                None => self.merge(word, &mut ids),
            }
            rest = after.trim_start();
        }
        ids
    }

    /// Rows of `context` ids for texts: start, the text, end, zeros. Too long a text is cut so that the end token is
    /// the last id of its row.
    pub fn tokenize(&self, texts: &[&str], context: usize) -> Vec<Vec<u32>> {
        let row = |text: &&str| {
            let mut row = vec![self.start];
            row.extend(self.encode(text));
            row.push(self.end());
            if row.len() > context {
                row.truncate(context);
                row.iter_mut().skip(context.saturating_sub(1)).for_each(|last| *last = self.end());
            }
            row.resize(context, 0);
            row
        };
        texts.iter().map(row).collect()
    }

    /// [`Self::tokenize`] as a tensor `[texts, context]`.
    pub fn tensor(&self, texts: &[&str], context: usize, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.tokenize(texts, context).into_iter().flatten().map(|id| id as i32).collect();
        Tensor::from_data(TensorData::new(ids, [texts.len(), context]), device)
    }

    /// Bytes of the word at the start of `text` (which is not white space): the peer's pattern
    /// `<start>|<end>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`.
    fn word_length(&self, text: &str) -> usize {
        if let Some(whole) = self.specials.iter().chain(&ENDINGS).find(|whole| text.starts_with(**whole)) {
            return whole.len();
        }
        let run = |inside: fn(char) -> bool| text.find(|c| !inside(c)).unwrap_or(text.len());
        match text.chars().next() {
            Some(c) if is_letter(c) => run(is_letter),
            Some(c) if c.is_numeric() => c.len_utf8(),
            _ => run(|c| !c.is_whitespace() && !c.is_numeric() && !is_letter(c)),
        }
    }

    /// Appends the ids of one word.
    ///
    /// Tokens are a linked list and pairs wait in a heap by (merge, place), which gives what the peer's repeated
    /// scan gives (no merge makes a pair that stands earlier in the list) in n log n instead of n² steps.
    fn merge(&self, word: &str, ids: &mut Vec<u32>) {
        let mut tokens: Vec<u32> = word.bytes().map(|b| self.bytes[b as usize]).collect();
        let n = tokens.len();
        if let Some(last) = tokens.last_mut() {
            *last += 256;
        }
        let mut next: Vec<usize> = (1..=n).collect();
        let mut previous: Vec<Option<usize>> = (0..n).map(|i| i.checked_sub(1)).collect();
        let mut alive = vec![true; n];
        let pair = |tokens: &[u32], next: &[usize], i: usize| {
            let right = tokens.get(*next.get(i)?)?;
            self.merges.get(&(tokens[i], *right)).map(|&id| Reverse((id, i)))
        };
        let mut heap: BinaryHeap<_> = (0..n).filter_map(|i| pair(&tokens, &next, i)).collect();
        while let Some(Reverse((id, i))) = heap.pop() {
            // An entry is stale where one of its tokens has been merged meanwhile.
            if !alive[i] || pair(&tokens, &next, i) != Some(Reverse((id, i))) {
                continue;
            }
            let right = next[i];
            tokens[i] = id;
            alive[right] = false;
            next[i] = next[right];
            if next[i] < n {
                previous[next[i]] = Some(i);
            }
            heap.extend(pair(&tokens, &next, i));
            heap.extend(previous[i].and_then(|left| pair(&tokens, &next, left)));
        }
        ids.extend(tokens.into_iter().zip(alive).filter(|(_, alive)| *alive).map(|(id, _)| id));
    }
}

/// Bytes in the order of their ids, each with the printable character that stands for it in the list of merges.
fn alphabet() -> impl Iterator<Item = (u8, char)> {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=255u8).filter(move |b| !printable(b)).zip('\u{100}'..);
    (0..=255u8).filter(printable).map(|b| (b, b as char)).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bpe(vocab_size: usize) -> Bpe {
        Bpe::new(vocab_size).unwrap()
    }

    #[test]
    fn the_published_vocabulary_is_whole() {
        let bpe = bpe(49_408);
        assert_eq!((bpe.vocab_size(), bpe.start(), bpe.end()), (49_408, 49_406, 49_407));
        assert_eq!(bpe.encode("a photo of a cat"), [320, 1125, 539, 320, 2368]);
        assert_eq!(bpe.encode("it's  ½ cup"), [585, 568, 33613, 1937]);
    }

    #[test]
    fn a_smaller_vocabulary_stops_merging_earlier() {
        let (small, none) = (bpe(2514), bpe(0));
        assert_eq!(small.vocab_size(), 2514);
        assert_eq!(none.vocab_size(), 514);
        assert_eq!(none.encode("cat"), [66, 64, 83 + 256]);
        let ids = small.encode("a picture of a smiley face");
        assert!(ids.len() < 20 && ids.iter().all(|&id| id < 2512), "{ids:?}");
    }

    #[test]
    fn rows_start_and_end_and_are_cut_to_the_context() {
        let bpe = bpe(49_408);
        let rows = bpe.tokenize(&["a cat", "", "a cat on a mat"], 5);
        assert_eq!(rows[0], [49_406, 320, 2368, 49_407, 0]);
        assert_eq!(rows[1], [49_406, 49_407, 0, 0, 0]);
        assert_eq!(rows[2], [49_406, 320, 2368, 525, 49_407]);
    }

    #[test]
    fn only_each_peers_own_specials_are_special() {
        let (open, openai) = (bpe(49_408), Bpe::openai(49_408).unwrap());
        assert_eq!(open.encode("<start_of_text>x"), [49_406, 343]);
        assert_eq!(openai.encode("<|endoftext|>"), [49_407]);
        assert_ne!(openai.encode("<start_of_text>"), [49_406]);
    }

    #[test]
    fn a_hostile_long_word_takes_no_quadratic_time() {
        let bpe = bpe(49_408);
        let ids = bpe.encode(&"x".repeat(300_000));
        assert!(ids.len() < 100_000);
        let ids = bpe.encode(&"!\u{301}'s<🤖".repeat(30_000));
        assert!(ids.len() > 30_000);
    }
}
