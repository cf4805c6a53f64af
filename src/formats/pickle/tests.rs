use super::machine::SMALL;
use super::*;

/// Runs a pickle without its beginning and end.
fn outcome(body: &[u8]) -> Result<(Value, Heap), Trouble> {
    let bytes = [b"\x80\x02", body, b"."].concat();
    let pickle = run(&bytes, 0)?;
    Ok((pickle.root, pickle.heap))
}

fn refused(body: &[u8]) -> String {
    match outcome(body) {
        Err(Trouble::Bad(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_values_are_built() {
    for (body, value) in [
        (&b"K\x07"[..], Value::Int(7)),
        (b"M\x01\x02", Value::Int(0x201)),
        (b"J\xfe\xff\xff\xff", Value::Int(-2)),
        (b"\x8a\x00", Value::Int(0)),
        (b"\x8a\x02\x00\x80", Value::Int(-32768)),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01", Value::Long(Span { at: 4, len: 9 })),
        (b"I12\n", Value::Int(12)),
        (b"\x88", Value::Bool(true)),
        (b"X\x02\0\0\0ab", Value::Text(Span { at: 7, len: 2 })),
        (b"\x8c\x02ab", Value::Text(Span { at: 4, len: 2 })),
        (b"U\x02ab", Value::Text(Span { at: 4, len: 2 })),
        (b"N", OTHER),
        (b"G\0\0\0\0\0\0\0\0", OTHER),
        (b"B\x02\0\0\0ab", OTHER),
    ] {
        assert_eq!(outcome(body).unwrap().0, value, "{}", body.escape_ascii());
    }
    let (root, heap) = outcome(b"K\x01K\x02\x86").unwrap();
    assert_eq!(heap.tuple(root).unwrap(), [Value::Int(1), Value::Int(2)]);
    let (root, heap) = outcome(b"}q\x00(U\x01aK\x01U\x01bh\x00u").unwrap();
    let entries = &heap.dict(root).unwrap().entries;
    assert_eq!((entries[0].1, entries[1].1), (Value::Int(1), root), "a cycle is no trouble");
    let (root, heap) = outcome(b"](K\x01K\x02eK\x03a").unwrap();
    assert_eq!((root, heap.lists[0].len()), (Value::List(0), 3));
}

#[test]
fn pairs_given_to_an_ordered_dictionary_are_its_entries_as_in_python_2() {
    let (root, heap) = outcome(b"ccollections\nOrderedDict\n(](](U\x01aK\x01e](U\x01bK\x02eetR").unwrap();
    let values: Vec<Value> = heap.dict(root).unwrap().entries.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [Value::Int(1), Value::Int(2)]);
}

#[test]
fn whatever_is_called_runs_nothing_and_stays_inert() {
    let (root, heap) = outcome(b"cos\nsystem\n(U\x04exittR}(U\x01aK\x01ub(U\x01bK\x02uK\x03a").unwrap();
    assert_eq!(root, Value::Opaque(Span { at: 6, len: 6 }));
    assert!(heap.tensors.is_empty() && heap.storages.is_empty());
    for call in [&b"cargparse\nNamespace\n)\x81}b"[..], b"\x8c\x02os\x8c\x06system\x93)R", b"U\x01a)R", b"K\x01)\x81"] {
        assert!(matches!(outcome(call).unwrap().0, Value::Opaque(_)), "{}", call.escape_ascii());
    }
}

#[test]
fn what_no_pickler_writes_is_refused() {
    for body in [
        &b""[..],      // nothing
        b"0",          // takes from an empty stack
        b"K\x01(0",    // takes from below a mark
        b"K\x01(\x85", // the same
        b"u",
        b"e",
        b"t",
        b"1",                  // no mark
        b"(U\x01au",           // no dictionary below the mark
        b"}(U\x01au",          // a key without a value
        b"h\x00",              // recalls what it never stored
        b"Nr\xff\xff\xff\xff", // stores far away
        b"\x80\x09N",          // protocol 9
        b"\x82\x01",           // an extension
        b"K\x01K\x02\x93",     // a name that is a number
    ] {
        refused(body);
    }
    assert_eq!(outcome(b"X\xff\xff\xff\xffab").err(), Some(Trouble::Short));
    assert_eq!(run(b"\x80\x02N", 0).err(), Some(Trouble::Short));
}

#[test]
fn memory_and_time_are_bounded_by_the_length() {
    const LEN: usize = 1 << 20;
    let repeated = |body: &[u8]| body.repeat(LEN / body.len());
    // Each of these builds many times its length.
    for body in [&b"N"[..], b"}", b"]", b"N\x94", b"}q\x00", b"](K\x01K\x01K\x01e", b"K\x01\x85"] {
        if let Ok((_, heap)) = outcome(&repeated(body)) {
            let values = heap.tuples.len() + heap.lists.iter().map(Vec::len).sum::<usize>();
            assert!(values * size_of::<Value>() + heap.lists.len() * 24 + heap.dicts.len() * 32 <= 16 * LEN + SMALL);
        }
    }
    assert!(refused(&repeated(b"}")).contains("more than its length allows"));
    // A list of half a million numbers, given a hundred thousand times as the pairs of a dictionary.
    let list = [b"](", repeated(b"K\x01").as_slice(), b"e\x85q\x000"].concat();
    let calls = b"h\x01h\x00R0".repeat(100_000);
    let start = std::time::Instant::now();
    refused(&[&list, &b"ccollections\nOrderedDict\nq\x010"[..], &calls].concat());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
