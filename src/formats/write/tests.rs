use super::*;
use crate::formats::{Container, Dtype, Tensors};

/// Two of every kind of number, and shapes of all sorts.
fn tensors() -> BTreeMap<String, Info> {
    let kinds = torch::objects::CLASSES.iter().map(|(dtype, name)| (format!("kind.{name}"), *dtype, vec![2]));
    let shapes = [vec![], vec![0, 3], vec![300, 1, 2], vec![1; 8]].into_iter();
    let shapes = shapes.map(|shape| (format!("shape.{shape:?} \"é\""), Dtype::F32, shape));
    kinds.chain(shapes).map(|(name, dtype, shape)| (name, Info { dtype, shape })).collect()
}

/// Bytes that differ from tensor to tensor.
fn filled(name: &str, info: &Info) -> Vec<u8> {
    (0..info.bytes().unwrap()).map(|at| (at * 7 + name.len()) as u8 % 2).collect()
}

fn read_back(bytes: Vec<u8>, tensors: &BTreeMap<String, Info>) -> Tensors {
    let open = Tensors::open(bytes).unwrap();
    assert_eq!(open.names().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
    for (name, info) in tensors {
        assert_eq!(open.info(name), Some(info), "{name}");
        assert_eq!(open.bytes(name).unwrap(), filled(name, info), "{name}");
    }
    open
}

#[test]
fn safetensors_survive_a_round_trip_aligned_and_in_order() {
    let tensors = tensors();
    let notes = BTreeMap::from([("step".to_owned(), "12".to_owned())]);
    let mut bytes = vec![];
    safetensors(&mut bytes, &tensors, &notes, &mut |name| Ok(filled(name, &tensors[name]))).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, tensor) in theirs.tensors() {
        let at = tensor.data().as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(tensor.data(), filled(&name, &tensors[&name]));
        assert!(at.is_multiple_of(tensors[&name].dtype.size()) || tensor.data().is_empty(), "{name} at {at}");
    }
    assert_eq!(*read_back(bytes, &tensors).notes(), notes);
}

#[test]
fn checkpoints_of_pytorch_survive_a_round_trip_with_aligned_storages() {
    let tensors = tensors();
    let mut bytes = vec![];
    torch(&mut bytes, &tensors, &mut |name| Ok(filled(name, &tensors[name]))).unwrap();
    let members = crate::formats::zip::members(&bytes).unwrap();
    for (name, member) in &members {
        assert!(member.offset.is_multiple_of(64), "{name} at {}", member.offset);
        assert_eq!(checksum(&bytes[member.offset as usize..][..member.size as usize]), member.crc, "{name}");
    }
    assert!(members.contains_key("model/version") && members.contains_key("model/byteorder"));
    assert_eq!(read_back(bytes, &tensors).container(), Container::TorchZip);
}

#[test]
fn arrays_survive_a_round_trip_in_parts() {
    let mut tensors = tensors();
    tensors.retain(|_, info| info.dtype != Dtype::BF16);
    let mut npz = Npz::new(vec![]);
    for (name, info) in &tensors {
        npz.array(name, info).unwrap();
        filled(name, info).chunks(3).for_each(|part| npz.write(part).unwrap());
    }
    let bytes = npz.finish().unwrap();
    let members = crate::formats::zip::members(&bytes).unwrap();
    for member in members.values() {
        assert_eq!(checksum(&bytes[member.offset as usize..][..member.size as usize]), member.crc);
    }
    assert_eq!(read_back(bytes, &tensors).container(), Container::Npz);
}

#[test]
fn what_does_not_fit_is_refused() {
    let info = Info { dtype: Dtype::U8, shape: vec![4] };
    let one = BTreeMap::from([("a".to_owned(), info.clone())]);
    let error = safetensors(&mut vec![], &one, &BTreeMap::new(), &mut |_| Ok(vec![0; 3])).unwrap_err();
    assert_eq!(error.to_string(), r#"the file cannot be written: "a" has 3 bytes instead of 4"#);
    assert!(torch(&mut vec![], &one, &mut |_| Ok(vec![0; 5])).is_err());
    let mut npz = Npz::new(vec![]);
    npz.array("a", &info).unwrap();
    assert!(npz.write(&[0; 5]).is_err(), "too many");
    npz.write(&[0; 3]).unwrap();
    assert!(npz.array("b", &info).is_err(), "too few");
    let half = Info { dtype: Dtype::BF16, shape: vec![] };
    assert!(Npz::new(vec![]).array("a", &half).unwrap_err().to_string().contains("numpy has no BF16"));
}
