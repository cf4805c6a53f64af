use super::*;

fn why(bytes: &[u8]) -> String {
    Tensors::open(bytes.to_vec()).err().map_or_else(|| panic!("accepted"), |error| error.to_string())
}

#[test]
fn strangers_are_told_by_what_they_are() {
    assert_eq!(why(b""), "not a file of tensors: it is empty");
    assert!(why(b"\n<!DOCTYPE html>").contains("a web page; download the file itself"));
    assert!(why(b"version https://git-lfs.github.com/spec/v1\noid").contains("git lfs pull"));
    assert_eq!(why(b"\x1f\x8babc"), r#"not a file of tensors: it begins with "\x1f\x8babc""#);
}
