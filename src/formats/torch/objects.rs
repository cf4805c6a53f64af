//! What PyTorch's pickles are made of: typed storages, and tensors that are views of them.
//! Sources: `torch/_utils.py` (`_rebuild_*`), `torch/serialization.py` (`persistent_id`), `torch/jit`.

use crate::formats::Dtype;
use crate::formats::pickle::{Heap, Span, Value};

/// A name in a pickle that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::formats) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// The class of a TorchScript module.
    Module,
    /// The class of a storage.
    Storage(Element),
    /// `torch.float32` and the like.
    Dtype(Dtype),
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`; `_rebuild_tensor_v3`, which is told the kind of number.
    View {
        /// Whether it is told.
        typed: bool,
    },
    /// `_rebuild_parameter`, `_rebuild_parameter_with_state`.
    Parameter,
    /// `_rebuild_from_type_v2`: a tensor of another class, or with attributes.
    Typed,
}

/// The numbers of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) struct Element {
    /// Bytes of one.
    pub size: u8,
    /// Its kind, where it is read here.
    pub dtype: Option<Dtype>,
}

/// A storage, as a pickle describes it.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct Storage {
    /// Its name in the file.
    pub key: Span,
    /// What it holds.
    pub element: Element,
    /// How many.
    pub count: u64,
    /// Where it lies in the storage of that name, in numbers: a view of it, from before PyTorch 0.4.
    pub first: u64,
}

/// A tensor, as a pickle describes it. Nothing is checked yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) struct Tensor {
    /// Its place in the list of all storages.
    pub storage: u32,
    /// Kind of its numbers.
    pub dtype: Dtype,
    /// Its first number in the storage.
    pub first: u64,
    /// Its shape, in the list of all tuples.
    pub shape: Span,
    /// Its strides in numbers, likewise.
    pub strides: Span,
}

/// What a call gives.
pub(in crate::formats) enum Made {
    /// A new tensor.
    New(Tensor),
    /// One that there was.
    Same(u32),
}

impl Global {
    /// `module.name`, where it is known.
    pub(in crate::formats) fn of(module: &[u8], name: &[u8]) -> Option<Self> {
        if module == b"__torch__" || module.starts_with(b"__torch__.") {
            return Some(Self::Module);
        }
        match module {
            b"collections" if name == b"OrderedDict" => Some(Self::OrderedDict),
            b"torch._utils" | b"torch._tensor" => match name {
                b"_rebuild_tensor" | b"_rebuild_tensor_v2" => Some(Self::View { typed: false }),
                b"_rebuild_tensor_v3" => Some(Self::View { typed: true }),
                b"_rebuild_parameter" | b"_rebuild_parameter_with_state" => Some(Self::Parameter),
                b"_rebuild_from_type_v2" => Some(Self::Typed),
                _ => None,
            },
            b"torch" | b"torch.cuda" | b"torch.storage" => {
                Element::of(name).map(Self::Storage).or_else(|| dtype(name).map(Self::Dtype))
            }
            _ => None,
        }
    }
}

fn dtype(name: &[u8]) -> Option<Dtype> {
    Some(match name {
        b"float16" | b"half" => Dtype::F16,
        b"bfloat16" => Dtype::BF16,
        b"float32" | b"float" => Dtype::F32,
        b"float64" | b"double" => Dtype::F64,
        b"uint8" => Dtype::U8,
        b"int8" => Dtype::I8,
        b"int16" | b"short" => Dtype::I16,
        b"int32" | b"int" => Dtype::I32,
        b"int64" | b"long" => Dtype::I64,
        b"bool" => Dtype::Bool,
        _ => return None,
    })
}

impl Element {
    /// By the name of the storage's class.
    fn of(name: &[u8]) -> Option<Self> {
        let dtype = match name.strip_suffix(b"Storage")? {
            b"Half" => Dtype::F16,
            b"BFloat16" => Dtype::BF16,
            b"Float" => Dtype::F32,
            b"Double" => Dtype::F64,
            b"Byte" | b"Untyped" | b"_Untyped" => Dtype::U8,
            b"Char" => Dtype::I8,
            b"Short" => Dtype::I16,
            b"Int" => Dtype::I32,
            b"Long" => Dtype::I64,
            b"Bool" => Dtype::Bool,
            // Not read, but in the way of others before PyTorch 1.6.
            b"QInt8" | b"QUInt8" | b"QUInt4x2" | b"QUInt2x4" => return Some(Self { size: 1, dtype: None }),
            b"QInt32" => return Some(Self { size: 4, dtype: None }),
            b"ComplexFloat" => return Some(Self { size: 8, dtype: None }),
            b"ComplexDouble" => return Some(Self { size: 16, dtype: None }),
            _ => return None,
        };
        Some(Self { size: dtype.size() as u8, dtype: Some(dtype) })
    }
}

impl Storage {
    /// From the tuple that names it: `('storage', class, key, location, count)`, and before PyTorch 1.6 a sixth
    /// part, `None` or `(key, first, count)` for a view of a storage.
    pub(in crate::formats) fn of(id: Value, bytes: &[u8], heap: &Heap) -> Option<Self> {
        let [Value::Text(what), Value::Global(Global::Storage(element)), Value::Text(key), _, count, view @ ..] =
            heap.tuple(id)?
        else {
            return None;
        };
        if what.of(bytes) != b"storage" {
            return None;
        }
        let all = Self { key: *key, element: *element, count: whole(*count)?, first: 0 };
        match view.first().and_then(|view| heap.tuple(*view)) {
            Some([_, first, count, ..]) => Some(Self { first: whole(*first)?, count: whole(*count)?, ..all }),
            _ => Some(all),
        }
    }
}

impl Tensor {
    /// What calling `function` with `args` gives; `None` where that is no tensor that can be read.
    pub(in crate::formats) fn of(function: Global, args: Value, heap: &Heap) -> Option<Made> {
        let args = heap.tuple(args)?;
        match (function, args) {
            (Global::View { typed }, args) => Self::view(args, typed, heap).map(Made::New),
            (Global::Parameter, [Value::Tensor(tensor), ..]) => Some(Made::Same(*tensor)),
            (Global::Typed, [Value::Global(function), _, args, ..]) if *function != Global::Typed => {
                Self::of(*function, *args, heap)
            }
            _ => None,
        }
    }

    /// `(storage, first, shape, strides)`; the kind of number is the seventh, where it is told.
    fn view(args: &[Value], typed: bool, heap: &Heap) -> Option<Self> {
        let &[Value::Storage(storage), first, Value::Tuple(shape), Value::Tuple(strides), ..] = args else {
            return None;
        };
        let dtype = match args.get(6) {
            Some(Value::Global(Global::Dtype(dtype))) if typed => *dtype,
            _ if typed => return None,
            _ => heap.storages.get(storage as usize)?.element.dtype?,
        };
        Some(Self { storage, dtype, first: whole(first)?, shape, strides })
    }
}

/// A number that counts something.
pub(in crate::formats) fn whole(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => number.try_into().ok(),
        _ => None,
    }
}
