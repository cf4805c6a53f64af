//! A pickle without Python: the stack machine of protocols 2 to 5 (`Lib/pickletools.py` of Python), which builds plain
//! containers and tensors, and nothing else.
//!
//! A pickle is a program that may call anything. Here it calls nothing: every name that is not one of a fixed list
//! becomes an inert [`Value::Opaque`], and whatever is done with that gives it again. Values are small and lie in flat
//! lists, so that neither depth nor cycles can hurt, and all lists together are bounded by the pickle's length.

mod machine;

pub(super) use self::machine::run;
use super::torch::objects::{Global, Storage, Tensor};

/// A piece of the pickle, or of the list of all tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub at: u32,
    pub len: u32,
}

impl Span {
    pub(super) fn new(at: usize, len: usize) -> Self {
        // Neither a pickle nor what it costs is that long: see `MAX_PICKLE` of `torch`.
        Self { at: at as u32, len: len as u32 }
    }

    pub(super) fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.at as usize..][..self.len as usize]
    }
}

/// Something on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number too long for [`Value::Int`], in bytes.
    Long(Span),
    /// Text.
    Text(Span),
    /// A tuple, in [`Heap::tuples`].
    Tuple(Span),
    /// A list, in [`Heap::lists`].
    List(u32),
    /// A dictionary or a TorchScript module, in [`Heap::dicts`].
    Dict(u32),
    /// A name that is known.
    Global(Global),
    /// A storage, in [`Heap::storages`].
    Storage(u32),
    /// A tensor, in [`Heap::tensors`].
    Tensor(u32),
    /// Anything else; of an object or function, its name.
    Opaque(Span),
}

/// Nothing that matters, such as `None` or a float.
pub(super) const OTHER: Value = Value::Opaque(Span { at: 0, len: 0 });

/// A dictionary, or the attributes of a TorchScript module.
#[derive(Debug, Default)]
pub(super) struct Dict {
    /// Keys and values in the order in which they were set.
    pub entries: Vec<(Value, Value)>,
    /// Whether it is a module, whose state is merged into it.
    pub is_module: bool,
}

/// Everything that a pickle builds.
#[derive(Debug, Default)]
pub(super) struct Heap {
    pub tuples: Vec<Value>,
    pub lists: Vec<Vec<Value>>,
    pub dicts: Vec<Dict>,
    pub storages: Vec<Storage>,
    pub tensors: Vec<Tensor>,
}

impl Heap {
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(span) => Some(span.of(&self.tuples)),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&Dict> {
        match value {
            Value::Dict(index) => self.dicts.get(index as usize),
            _ => None,
        }
    }

    pub(super) fn new_dict(&mut self, is_module: bool) -> Value {
        self.dicts.push(Dict { entries: vec![], is_module });
        Value::Dict(self.dicts.len() as u32 - 1)
    }
}

/// A pickle that has been run.
pub(super) struct Pickle<'a> {
    /// The bytes it was read from, which texts point into.
    pub bytes: &'a [u8],
    /// What it built.
    pub heap: Heap,
    /// The object that was pickled.
    pub root: Value,
    /// Where it ends in `bytes`.
    pub end: usize,
}

impl Pickle<'_> {
    /// The bytes of a text.
    pub(super) fn text(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Text(span) => Some(span.of(self.bytes)),
            _ => None,
        }
    }

    /// The value of a key in a dictionary; the last one counts, as in Python.
    pub(super) fn get(&self, dict: &Dict, key: &str) -> Option<Value> {
        dict.entries.iter().rev().find(|(name, _)| self.text(*name) == Some(key.as_bytes())).map(|(_, value)| *value)
    }
}

/// Why a pickle could not be run.
#[derive(Debug, PartialEq)]
pub(super) enum Trouble {
    /// It goes on after the bytes at hand.
    Short,
    /// It is no sound pickle, or does what is not done here.
    Bad(String),
}

#[cfg(test)]
mod tests;
