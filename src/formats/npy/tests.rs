use std::io::Write;

use super::*;
use crate::formats::Tensors;

fn array(header: &str, numbers: &[u8]) -> Vec<u8> {
    let text = format!("{header}\n");
    [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), numbers].concat()
}

/// An archive with deflated members.
fn archive(arrays: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = rawzip::ZipArchiveWriter::new(vec![]);
    for (name, bytes) in arrays {
        let deflate = writer.new_file(*name).compression_method(rawzip::CompressionMethod::DEFLATE);
        let (mut entry, config) = deflate.start().unwrap();
        let mut data = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast()));
        data.write_all(bytes).unwrap();
        let (encoder, end) = data.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(end).unwrap();
    }
    writer.finish().unwrap()
}

fn why(bytes: Vec<u8>) -> String {
    Tensors::open(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn arrays_are_read_in_either_order() {
    let rows =
        array("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", &[0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    let open = Tensors::open(rows).unwrap();
    assert_eq!((open.container(), open.names().collect::<Vec<_>>()), (Container::Npy, vec!["arr_0"]));
    assert_eq!(open.info("arr_0").unwrap(), &Info { dtype: Dtype::I16, shape: vec![2, 3] });
    let columns = array("{'descr': '|u1', 'fortran_order': True, 'shape': (2L, 3L), }", &[0, 3, 1, 4, 2, 5]);
    assert_eq!(Tensors::open(columns).unwrap().bytes("arr_0").unwrap(), [0, 1, 2, 3, 4, 5]);
    let number = array("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &2.5f64.to_le_bytes());
    assert_eq!(Tensors::open(number).unwrap().f32("arr_0").unwrap(), [2.5]);
}

#[test]
fn compressed_archives_are_unpacked_and_what_is_no_number_is_left_out() {
    let mu = array("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", &[0u8; 12]);
    let turned = array("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", &[0, 3, 1, 4, 2, 5]);
    let text = array("{'descr': '<U2', 'fortran_order': False, 'shape': (), }", b"a\0\0\0b\0\0\0");
    let fields = array("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]);
    let object = array("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x02cos\nsystem\n.");
    let bytes = archive(&[
        ("mu.npy", &mu),
        ("turned.npy", &turned),
        ("text.npy", &text),
        ("fields.npy", &fields),
        ("object.npy", &object),
        ("readme.txt", b"hello"),
    ]);
    let open = Tensors::open(bytes.clone()).unwrap();
    assert_eq!(open.container(), Container::Npz);
    assert_eq!(open.names().collect::<Vec<_>>(), ["mu", "turned"]);
    assert_eq!(open.f32("mu").unwrap(), [0.0; 3]);
    assert_eq!(open.bytes("turned").unwrap(), [0, 1, 2, 3, 4, 5]);

    let place = bytes.windows(4).position(|at| at == b"PK\x01\x02").unwrap();
    let mut wrong = bytes;
    wrong[place + 16] ^= 1;
    let error = Tensors::open(wrong).unwrap().bytes("mu").unwrap_err().to_string();
    assert!(error.ends_with("its checksum is wrong"), "{error}");
}

#[test]
fn arrays_that_lie_about_themselves_are_refused() {
    let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    assert!(why(array(&header("(3,)"), &[0; 11])).contains("shape [3] of F32"));
    assert!(why(array(&header("(3,)"), &[0; 13])).contains("shape [3] of F32"));
    assert!(why(array(&header("(99999999999, 99999999999)"), &[0; 12])).contains("shape"));
    for unsound in [header("(-3,)"), header("3"), header("(1,1,1,1,1,1,1,1,1)"), "{}".into(), String::new()] {
        assert!(why(array(&unsound, &[0; 12])).contains("cannot be understood"), "{unsound}");
    }
    let mut long = array(&header("(3,)"), &[0; 12]);
    long[6] = 2;
    assert!(why(long).contains("absurdly long"));
    let big = archive(&[("a.npy", &array("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", &[0; 4]))]);
    assert!(why(big).contains("big-endian"));
    assert!(why(archive(&[("readme.txt", b"hello")])).contains("neither PyTorch's nor numpy's"));
    let zeros = archive(&[("a.npy", &array(&header("(2000000,)"), &vec![0; 8_000_000]))]);
    assert!(why(zeros).contains("bytes compressed to"), "a thousand zeros for each byte");
}
