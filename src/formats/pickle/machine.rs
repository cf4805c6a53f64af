//! The stack machine itself.

use super::{Dict, Heap, OTHER, Pickle, Span, Trouble, Value};
use crate::formats::torch::objects::{Global, Made, Storage, Tensor};

/// Bytes that the machine's lists may take for each byte of the pickle. Checkpoints need 5.
const COST: usize = 16;
/// Bytes that they may take however short it is.
pub(super) const SMALL: usize = 1 << 16;

fn bad<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Bad(why.into()))
}

/// Runs the pickle that begins at `from`.
pub(in crate::formats) fn run(bytes: &[u8], from: usize) -> Result<Pickle<'_>, Trouble> {
    let mut machine =
        Machine { bytes, at: from, heap: Heap::default(), stack: vec![], marks: vec![], memo: vec![], held: 0 };
    while machine.step()? {
        if machine.cost() > COST * bytes.len() + SMALL {
            return bad("it builds more than its length allows");
        }
    }
    let root = machine.pop()?;
    Ok(Pickle { bytes, heap: machine.heap, root, end: machine.at })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    heap: Heap,
    stack: Vec<Value>,
    /// Lengths that the stack had at its marks.
    marks: Vec<u32>,
    memo: Vec<Value>,
    /// Bytes that lists and dictionaries hold, and other work.
    held: usize,
}

impl Machine<'_> {
    /// Bytes of memory in use.
    fn cost(&self) -> usize {
        let values = self.stack.capacity() + self.memo.capacity() + self.heap.tuples.capacity();
        values * size_of::<Value>()
            + self.marks.capacity() * size_of::<u32>()
            + self.heap.lists.capacity() * size_of::<Vec<Value>>()
            + self.heap.dicts.capacity() * size_of::<Dict>()
            + self.heap.storages.capacity() * size_of::<Storage>()
            + self.heap.tensors.capacity() * size_of::<Tensor>()
            + self.held
    }

    /// Does one instruction; false after the last.
    fn step(&mut self) -> Result<bool, Trouble> {
        let code = self.number(1)? as u8;
        match code {
            0x80 => {
                let version = self.number(1)?;
                if version > 5 {
                    return bad(format!("protocol {version} is unknown"));
                }
            }
            0x95 => {
                self.skip(8)?; // a frame's length
            }
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len() as u32),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                let mark = self.mark()?;
                self.stack.truncate(mark);
            }
            b'2' => self.stack.push(self.top()?),

            b'N' => self.stack.push(OTHER),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' => {
                let number = self.number(if code == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(number as i64));
            }
            b'I' | b'L' | b'F' => {
                let line = self.line()?;
                let number = std::str::from_utf8(line.of(self.bytes)).ok().and_then(|text| text.parse().ok());
                self.stack.push(number.map_or(OTHER, Value::Int));
            }
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                self.skip(8)?;
                self.stack.push(OTHER);
            }

            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.binary(1)?,
            b'B' => self.binary(4)?,
            0x8e | 0x96 => self.binary(8)?,

            b')' => self.stack.push(Value::Tuple(Span::default())),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84));
                self.tuple(from.filter(|&from| from >= self.floor()).ok_or_else(underflow)?);
            }
            b't' => {
                let mark = self.mark()?;
                self.tuple(mark);
            }
            b']' => {
                self.heap.lists.push(vec![]);
                self.stack.push(Value::List(self.heap.lists.len() as u32 - 1));
            }
            b'l' => {
                let mark = self.mark()?;
                self.heap.lists.push(vec![]);
                let list = Value::List(self.heap.lists.len() as u32 - 1);
                self.append(list, mark);
                self.stack.push(list);
            }
            b'a' => {
                let from = self.stack.len().checked_sub(1).ok_or_else(underflow)?;
                let list = self.below(from)?;
                self.append(list, from);
            }
            b'e' => {
                let mark = self.mark()?;
                let list = self.below(mark)?;
                self.append(list, mark);
            }
            b'}' => {
                let dict = self.heap.new_dict(false);
                self.stack.push(dict);
            }
            b'd' => {
                let mark = self.mark()?;
                let dict = self.heap.new_dict(false);
                self.set(dict, mark)?;
                self.stack.push(dict);
            }
            b's' => {
                let from = self.stack.len().checked_sub(2).ok_or_else(underflow)?;
                let dict = self.below(from)?;
                self.set(dict, from)?;
            }
            b'u' => {
                let mark = self.mark()?;
                let dict = self.below(mark)?;
                self.set(dict, mark)?;
            }
            0x8f => self.stack.push(OTHER), // a set
            0x90 => {
                let mark = self.mark()?;
                self.below(mark)?;
                self.stack.truncate(mark);
            }
            0x91 => {
                let mark = self.mark()?;
                self.stack.truncate(mark);
                self.stack.push(OTHER);
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return bad("a name that is no text");
                };
                self.global(module, name);
            }
            b'R' => {
                let (args, function) = (self.pop()?, self.pop()?);
                let result = self.call(function, args);
                self.stack.push(result);
            }
            0x81 => {
                let (_, class) = (self.pop()?, self.pop()?);
                self.new_object(class);
            }
            0x92 => {
                let (_, _, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.new_object(class);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.build(object, state);
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = Storage::of(id, self.bytes, &self.heap).map_or(OTHER, |storage| {
                    self.heap.storages.push(storage);
                    Value::Storage(self.heap.storages.len() as u32 - 1)
                });
                self.stack.push(storage);
            }

            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'q' | b'r' => {
                let index = self.number(if code == b'q' { 1 } else { 4 })?;
                self.remember(index as usize)?;
            }
            0x94 => self.remember(self.memo.len())?,
            _ => return bad(format!("the instruction {code:#04x} is not one of protocols 2 to 5")),
        }
        Ok(true)
    }

    fn skip(&mut self, len: u64) -> Result<Span, Trouble> {
        let rest = self.bytes.len() - self.at;
        let len = usize::try_from(len).ok().filter(|&len| len <= rest).ok_or(Trouble::Short)?;
        let span = Span::new(self.at, len);
        self.at += len;
        Ok(span)
    }

    /// The next bytes, 8 at most, as a number.
    fn number(&mut self, bytes: usize) -> Result<u64, Trouble> {
        let span = self.skip(bytes as u64)?;
        Ok(span.of(self.bytes).iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<Span, Trouble> {
        let len = self.bytes[self.at..].iter().position(|&byte| byte == b'\n').ok_or(Trouble::Short)?;
        let line = Span::new(self.at, len);
        self.at += len + 1;
        Ok(line)
    }

    /// Length of the stack at the last mark: what lies below cannot be taken.
    fn floor(&self) -> usize {
        self.marks.last().map_or(0, |&mark| mark as usize)
    }

    fn pop(&mut self) -> Result<Value, Trouble> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Value, Trouble> {
        self.below(self.stack.len())
    }

    /// The value under place `from` of the stack.
    fn below(&self, from: usize) -> Result<Value, Trouble> {
        let place = from.checked_sub(1).filter(|&place| place >= self.floor());
        place.and_then(|place| self.stack.get(place).copied()).ok_or_else(underflow)
    }

    /// Takes the last mark away; the length that the stack had there.
    fn mark(&mut self) -> Result<usize, Trouble> {
        self.marks.pop().map(|mark| mark as usize).ok_or_else(underflow)
    }

    fn recall(&mut self, width: usize) -> Result<(), Trouble> {
        let index = self.number(width)?;
        let Some(&value) = self.memo.get(index as usize) else {
            return bad(format!("it recalls {index}, which it never stored"));
        };
        self.stack.push(value);
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Result<(), Trouble> {
        let top = self.top()?;
        // Picklers count up; each number takes an instruction.
        if index > self.at {
            return bad(format!("it stores number {index} in a pickle of {} bytes", self.bytes.len()));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, OTHER);
        }
        self.memo[index] = top;
        Ok(())
    }

    fn long(&mut self, width: usize) -> Result<(), Trouble> {
        let len = self.number(width)?;
        let span = self.skip(len)?;
        let bytes = span.of(self.bytes);
        let fill = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
        let mut number = [fill; 8];
        self.stack.push(match number.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(number))
            }
            None => Value::Long(span),
        });
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<(), Trouble> {
        let len = self.number(width)?;
        let span = self.skip(len)?;
        self.stack.push(Value::Text(span));
        Ok(())
    }

    fn binary(&mut self, width: usize) -> Result<(), Trouble> {
        let len = self.number(width)?;
        self.skip(len)?;
        self.stack.push(OTHER);
        Ok(())
    }

    /// Puts what lies on the stack from place `from` on into a tuple.
    fn tuple(&mut self, from: usize) {
        let tuples = &mut self.heap.tuples;
        let span = Span::new(tuples.len(), self.stack.len() - from);
        tuples.extend(self.stack.drain(from..));
        self.stack.push(Value::Tuple(span));
    }

    /// Moves what lies on the stack from place `from` on into `list`; into anything else, nothing goes.
    fn append(&mut self, list: Value, from: usize) {
        let values = self.stack.drain(from..);
        if let Value::List(index) = list
            && let Some(list) = self.heap.lists.get_mut(index as usize)
        {
            let before = list.capacity();
            list.extend(values);
            self.held += (list.capacity() - before) * size_of::<Value>();
        }
    }

    /// Moves the pairs on the stack from place `from` on into `dict`; into anything else, nothing goes.
    fn set(&mut self, dict: Value, from: usize) -> Result<(), Trouble> {
        let (pairs, rest) = self.stack[from..].as_chunks();
        if !rest.is_empty() {
            return bad("a key without a value");
        }
        if let Value::Dict(index) = dict
            && let Some(dict) = self.heap.dicts.get_mut(index as usize)
        {
            let before = dict.entries.capacity();
            dict.entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            self.held += (dict.entries.capacity() - before) * size_of::<(Value, Value)>();
        }
        self.stack.truncate(from);
        Ok(())
    }

    fn global(&mut self, module: Span, name: Span) {
        let global = Global::of(module.of(self.bytes), name.of(self.bytes));
        self.stack.push(global.map_or(Value::Opaque(name), Value::Global));
    }

    fn call(&mut self, function: Value, args: Value) -> Value {
        match function {
            Value::Global(Global::OrderedDict) => {
                let dict = self.heap.new_dict(false);
                // Python 2 gives all pairs to the constructor.
                if let Some(&[Value::List(pairs)]) = self.heap.tuple(args) {
                    self.pairs(dict, pairs);
                }
                dict
            }
            Value::Global(global) => Tensor::of(global, args, &self.heap).map_or(OTHER, |tensor| match tensor {
                Made::New(tensor) => {
                    self.heap.tensors.push(tensor);
                    Value::Tensor(self.heap.tensors.len() as u32 - 1)
                }
                Made::Same(tensor) => Value::Tensor(tensor),
            }),
            Value::Opaque(_) => function,
            _ => OTHER,
        }
    }

    fn pairs(&mut self, dict: Value, pairs: u32) {
        let count = self.heap.lists[pairs as usize].len();
        // Looking at them counts too: the same list may be given many times.
        self.held += count;
        for place in 0..count {
            let pair = match self.heap.lists[pairs as usize][place] {
                Value::List(pair) => self.heap.lists[pair as usize].as_slice(),
                Value::Tuple(pair) => pair.of(&self.heap.tuples),
                _ => &[],
            };
            if let &[key, value] = pair {
                let from = self.stack.len();
                self.stack.extend([key, value]);
                // Always a pair.
                let _ = self.set(dict, from);
            }
        }
    }

    fn new_object(&mut self, class: Value) {
        let object = match class {
            Value::Global(Global::Module) => self.heap.new_dict(true),
            Value::Global(Global::OrderedDict) => self.heap.new_dict(false),
            Value::Opaque(_) => class,
            _ => OTHER,
        };
        self.stack.push(object);
    }

    /// Gives an object its state: of a module its attributes. A dictionary keeps its own (`_metadata`).
    fn build(&mut self, object: Value, state: Value) {
        let (Value::Dict(object), Value::Dict(state)) = (object, state) else { return };
        if self.heap.dicts[object as usize].is_module && object != state {
            let state = std::mem::take(&mut self.heap.dicts[state as usize].entries);
            let object = &mut self.heap.dicts[object as usize];
            if object.entries.is_empty() {
                object.entries = state;
            } else {
                let before = object.entries.capacity();
                object.entries.extend(state);
                self.held += (object.entries.capacity() - before) * size_of::<(Value, Value)>();
            }
        }
    }
}

fn underflow() -> Trouble {
    Trouble::Bad("it takes more than it has".into())
}
