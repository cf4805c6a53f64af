use std::io::Write;

use crate::formats::{Container, Dtype, FormatError, Info, Tensors};

const VIEW: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n";

/// The pickle of a tensor of two floats in the storage `key`.
fn tensor(key: &str) -> Vec<u8> {
    view(key, "Float", 2, b"K\x00K\x02\x85K\x01\x85")
}

/// The pickle of a view: `place` pushes its offset, shape and strides.
fn view(key: &str, class: &str, count: u8, place: &[u8]) -> Vec<u8> {
    let storage = format!("(U\x07storagectorch\n{class}Storage\nU{}{key}U\x03cpuK", key.len() as u8 as char);
    [VIEW, b"(", storage.as_bytes(), &[count], b"tQ", place, b"\x89ccollections\nOrderedDict\n)RtR"].concat()
}

/// The pickle of a dictionary.
fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries.iter().map(|(key, value)| [&[b'U', key.len() as u8], key.as_bytes(), value].concat());
    [b"}(".to_vec(), entries.collect::<Vec<_>>().concat(), b"u".to_vec()].concat()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = rawzip::ZipArchiveWriter::new(vec![]);
    for (name, bytes) in members {
        let (mut entry, config) = writer.new_file(*name).start().unwrap();
        let mut data = config.wrap(&mut entry);
        data.write_all(bytes).unwrap();
        let (_, end) = data.finish().unwrap();
        entry.finish(end).unwrap();
    }
    writer.finish().unwrap()
}

/// A checkpoint with the storages `0`, of 1 and 2, and `1`, of 3 and 4.
fn checkpoint(root: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", root, b"."].concat();
    zip(&[
        ("x/data.pkl", &pickle),
        ("x/byteorder", b"little"),
        ("x/data/0", &floats([1., 2.])),
        ("x/data/1", &floats([3., 4.])),
    ])
}

fn floats(numbers: [f32; 2]) -> [u8; 8] {
    bytemuck::cast(numbers)
}

/// The same storages in a file from before PyTorch 1.6.
fn legacy(root: &[u8]) -> Vec<u8> {
    let start = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}U\rlittle_endian\x88s.\x80\x02";
    let keys = b".\x80\x02](U\x010U\x011e.";
    let storage = |numbers| [2u64.to_le_bytes(), floats(numbers)].concat();
    [start.as_slice(), root, keys, &storage([1., 2.]), &storage([3., 4.])].concat()
}

fn names(bytes: Vec<u8>) -> Vec<String> {
    Tensors::open(bytes).unwrap().names().map(str::to_owned).collect()
}

fn refused(bytes: Vec<u8>) -> FormatError {
    Tensors::open(bytes).expect_err("accepted")
}

#[test]
fn both_containers_give_the_same_tensors() {
    let root = dict(&[("b", tensor("1")), ("a", tensor("0"))]);
    for (bytes, container) in [(checkpoint(&root), Container::TorchZip), (legacy(&root), Container::TorchLegacy)] {
        let open = Tensors::open(bytes).unwrap();
        assert_eq!(open.container(), container);
        assert_eq!(open.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(open.info("a").unwrap(), &Info { dtype: Dtype::F32, shape: vec![2] });
        assert_eq!((open.f32("a").unwrap(), open.f32("b").unwrap()), (vec![1., 2.], vec![3., 4.]));
    }
}

#[test]
fn wrappers_are_taken_off_as_the_peers_do() {
    let inner = || dict(&[("w", tensor("0"))]);
    let other = || dict(&[("other", tensor("1"))]);
    for wrapper in ["model", "module", "state_dict", "ema"] {
        assert_eq!(names(checkpoint(&dict(&[("optimizer", other()), (wrapper, inner())]))), ["w"], "{wrapper}");
    }
    assert_eq!(names(checkpoint(&dict(&[("ema", other()), ("model", inner())]))), ["w"]);
    assert_eq!(names(checkpoint(&dict(&[("model", b"N".to_vec()), ("ema", inner())]))), ["w"]);
    assert_eq!(names(checkpoint(&dict(&[("module.a", tensor("0")), ("module.b.c", tensor("1"))]))), ["a", "b.c"]);
    assert_eq!(names(checkpoint(&dict(&[("module.a", tensor("0")), ("b", tensor("1"))]))), ["b", "module.a"]);
    assert_eq!(names(checkpoint(&dict(&[("a", inner()), ("b", other())]))), ["a.w", "b.other"]);
}

#[test]
fn modules_of_torchscript_are_dictionaries_of_their_attributes() {
    let module = |state| [b"c__torch__.net\nNet\n)\x81", &state as &[u8], b"b"].concat();
    let child = module(dict(&[("weight", tensor("0")), ("training", b"\x89".to_vec())]));
    let root = module(dict(&[("model", child), ("scale", tensor("1"))]));
    let pickle = [b"\x80\x02", root.as_slice(), b"."].concat();
    let (one, two) = (floats([1., 2.]), floats([3., 4.]));
    let bytes = zip(&[("x/data/0", &one), ("x/data/1", &two), ("x/data.pkl", &pickle), ("x/constants.pkl", b"")]);
    assert_eq!(Tensors::open(bytes.clone()).unwrap().container(), Container::TorchScript);
    assert_eq!(names(bytes), ["model.weight", "scale"], "a module called model is no wrapper");
}

#[test]
fn storages_and_views_of_before_pytorch_0_4_are_found() {
    // A sixth part of the storage's name: which part of the storage this one is.
    let part =
        [VIEW, b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02(U\x01vK\x01K\x01ttQK\x00K\x01\x85K\x01\x85tR"]
            .concat();
    let open = Tensors::open(legacy(&dict(&[("a", part), ("b", tensor("1"))]))).unwrap();
    assert_eq!(open.f32("a").unwrap(), [2.]);
}

#[test]
fn tensors_that_leave_their_storage_are_refused() {
    for (place, count) in [
        (&b"K\x01K\x02\x85K\x01\x85"[..], 2),        // from the second number on
        (b"K\x00K\x02\x85K\x02\x85", 2),             // every other one
        (b"K\x00K\x02\x85K\x01\x85", 3),             // of a storage that is said to be longer
        (b"J\xff\xff\xff\xffK\x02\x85K\x01\x85", 2), // from before its beginning
        (b"K\x00J\xff\xff\xff\xff\x85K\x01\x85", 2), // a negative shape
        (b"K\x00K\x02\x85J\xff\xff\xff\xff\x85", 2), // a negative stride
        (b"K\x00K\x01K\x02\x86K\x01\x85", 2),        // more dimensions than strides
        (b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x00\x85", 2), // without end
    ] {
        let error = refused(checkpoint(&dict(&[("a", view("0", "Float", count, place))])));
        assert!(matches!(error, FormatError::Damaged(_)), "{}: {error}", place.escape_ascii());
    }
    let missing = refused(checkpoint(&dict(&[("a", tensor("7"))]))).to_string();
    assert_eq!(missing, "damaged file: the tensor \"a\": the member data/7 of the zip archive is missing");
}

#[test]
fn dictionaries_without_end_are_refused() {
    // One that lies in itself, and thirty of which each lies twice in the next.
    let cycle = [b"}q\x00U\x01ah\x00s".to_vec(), [b"(U\x01b", &tensor("0") as &[u8], b"u"].concat()].concat();
    refused(checkpoint(&cycle));
    let mut doubled = [&dict(&[("w", tensor("0"))]) as &[u8], b"q\x00"].concat();
    for _ in 0..30 {
        doubled.extend(b"0}(U\x01ah\x00U\x01bh\x00uq\x00");
    }
    let error = refused(checkpoint(&doubled)).to_string();
    assert!(error.contains("names take more than the file can stand for"), "{error}");
    let twice = refused(checkpoint(&dict(&[("a", tensor("0")), ("a", tensor("1"))]))).to_string();
    assert!(twice.contains("two tensors are called \"a\""), "{twice}");
}

#[test]
fn what_is_missing_of_a_cut_file_is_told() {
    let whole = legacy(&dict(&[("a", tensor("0")), ("b", tensor("1"))]));
    for len in 20..whole.len() {
        let error = refused(whole[..len].to_vec());
        assert!(matches!(error, FormatError::Cut(_)), "{len} of {} bytes: {error}", whole.len());
    }
    let error = refused(whole[..whole.len() - 1].to_vec()).to_string();
    assert!(error.starts_with("the file is cut short: the storage 1 should reach to byte"), "{error}");
    let whole = checkpoint(&dict(&[("a", tensor("0")), ("b", tensor("1"))]));
    for len in 0..whole.len() {
        refused(whole[..len].to_vec());
    }
}

#[test]
fn what_is_not_read_is_said() {
    let order = |order: &[u8]| zip(&[("x/data.pkl", b"\x80\x02}."), ("x/byteorder", order)]);
    assert!(refused(order(b"big")).to_string().contains("big-endian"));
    let whole_model = [b"cnet\nNet\n)\x81", &dict(&[("a", tensor("0"))]) as &[u8], b"b"].concat();
    assert!(refused(checkpoint(&whole_model)).to_string().contains("class Net"));
    assert!(refused(checkpoint(&dict(&[("steps", b"K\x01".to_vec())]))).to_string().contains("no named tensors"));
    assert!(refused(b"\x80\x04N.".to_vec()).to_string().contains("a pickle, but none that torch.save wrote"));
}
