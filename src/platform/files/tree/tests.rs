use super::*;
use crate::platform::files::disk;

/// What an operation says: the kind of its error, where it fails.
fn said<T>(result: io::Result<T>) -> Result<(), ErrorKind> {
    result.map(|_| ()).map_err(|error| error.kind())
}

/// All below `root` by path, with what files hold.
fn all(root: &Path, list: &dyn Fn(&Path) -> Vec<Entry>, read: &dyn Fn(&Path) -> Vec<u8>) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![];
    for entry in list(root) {
        let path = entry.path.strip_prefix(root).expect("inside").to_owned();
        if entry.metadata.is_dir {
            found.push((path.clone(), vec![]));
            found.extend(all(&entry.path, list, read).into_iter().map(|(below, bytes)| (path.join(below), bytes)));
        } else {
            assert_eq!(entry.metadata.len, read(&entry.path).len() as u64);
            found.push((path, read(&entry.path)));
        }
    }
    found.sort();
    found
}

#[test]
#[cfg(target_os = "linux")]
fn a_tree_does_and_refuses_what_a_disk_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut tree = Tree::new(1 << 20);
    // `d` are folders, `f` files, `no` nothing.
    let places = ["d", "d/e", "d/e/f", "d/f", "f", "f/no", "f/no/no", "no", "no/no", "d/e/../f", "./g"];
    type Operation = (&'static str, fn(&mut Tree, &Path) -> io::Result<()>, fn(&Path) -> io::Result<()>);
    let operations: [Operation; 9] = [
        ("write", |t, p| t.write(p, b"new"), |p| disk::write_atomic(p, b"new")),
        ("append", |t, p| t.append(p, b"more"), |p| disk::append(p, b"more")),
        ("create", |t, p| t.create_dir_all(p), |p| disk::create_dir_all(p)),
        ("read", |t, p| t.read(p).map(|_| ()), |p| disk::read(p).map(|_| ())),
        ("metadata", |t, p| t.metadata(p).map(|_| ()), |p| disk::metadata(p).map(|_| ())),
        ("list", |t, p| t.list(p).map(|_| ()), |p| disk::list(p).map(|_| ())),
        ("remove file", |t, p| t.remove_file(p), |p| disk::remove_file(p)),
        ("remove folder", |t, p| t.remove_dir(p), |p| disk::remove_dir(p)),
        ("remove all", |t, p| t.remove_dir_all(p), |p| disk::remove_dir_all(p)),
    ];
    let mut compare = |what: String,
                       on_tree: &mut dyn FnMut(&mut Tree) -> io::Result<()>,
                       on_disk: &dyn Fn(&Path) -> io::Result<()>| {
        let root = dir.path();
        let _ = (tree.remove_dir_all(Path::new("/")), disk::remove_dir_all(root.join("r")));
        tree.create_dir_all(Path::new("d/e/empty")).expect("made");
        disk::create_dir_all(root.join("r/d/e/empty")).expect("made");
        for file in ["d/e/f", "d/f", "f"] {
            tree.write(Path::new(file), file.as_bytes()).expect("written");
            std::fs::write(root.join("r").join(file), file).expect("written");
        }
        assert_eq!(said(on_tree(&mut tree)), said(on_disk(&root.join("r"))), "{what}");
        let listed = |path: &Path| disk::list(path).expect("listed").map(|entry| entry.expect("an entry")).collect();
        let on_disk = all(&root.join("r"), &listed, &|path| disk::read(path).expect("read"));
        let in_tree =
            all(Path::new("/"), &|p| tree.list(p).expect("listed"), &|p| tree.read(p).expect("read").0.to_vec());
        assert_eq!(in_tree, on_disk, "{what}");
        let sum: usize = in_tree.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(tree.used, sum as u64, "{what}");
    };
    for place in places {
        for (name, on_tree, on_disk) in &operations {
            compare(format!("{name} {place}"), &mut |tree| on_tree(tree, Path::new(place)), &|root| {
                on_disk(&root.join(place))
            });
        }
        for to in ["d", "d/e", "d/e/empty", "d/e/empty/x", "f", "d/f", "g", "no/no", "f/no", "f/no/no"] {
            let on_disk = |root: &Path| disk::rename(root.join(place), root.join(to));
            compare(
                format!("rename {place} to {to}"),
                &mut |tree| tree.rename(Path::new(place), Path::new(to)),
                &on_disk,
            );
        }
    }
}

#[test]
fn the_budget_is_of_all_files_and_what_is_removed_counts_no_more() {
    let mut tree = Tree::new(10);
    let (a, b) = (Path::new("a"), Path::new("b/b"));
    tree.write(a, &[0; 6]).expect("fits");
    assert_eq!(said(tree.write(b, &[0; 5])), Err(ErrorKind::StorageFull));
    assert_eq!(said(tree.append(a, &[0; 5])), Err(ErrorKind::StorageFull));
    assert!(tree.metadata(a).expect("there").len == 6 && tree.read(b).is_err(), "what is refused changes nothing");
    tree.append(a, &[0; 4]).expect("fits");
    tree.write(a, &[0; 2]).expect("smaller");
    tree.write(b, &[0; 8]).expect("fits");
    tree.remove_file(b).expect("removed");
    tree.write(a, &[0; 10]).expect("fits");
}

#[test]
fn each_change_is_stored_once_in_order_and_as_it_is_by_then() {
    let mut tree = Tree::new(1000);
    tree.write(Path::new("run/a"), b"1").expect("written");
    tree.write(Path::new("run/b"), b"2").expect("written");
    tree.append(Path::new("run/a"), b"3").expect("written");
    tree.remove_file(Path::new("run/b")).expect("removed");
    let mut next = || {
        let (path, node) = tree.take_changed()?;
        let text = match node {
            Some(Node::File { bytes, .. }) => Some(String::from_utf8(bytes.0.to_vec()).expect("text")),
            Some(Node::Folder) => Some("a folder".into()),
            None => None,
        };
        Some((path.display().to_string(), text))
    };
    assert_eq!(next(), Some(("run".into(), Some("a folder".into()))));
    assert_eq!(next(), Some(("run/a".into(), Some("13".into()))));
    assert_eq!(next(), Some(("run/b".into(), None)));
    assert_eq!(next(), None);

    tree.rename(Path::new("run"), Path::new("old")).expect("moved");
    assert!(tree.has_changed());
    let order: Vec<PathBuf> = std::iter::from_fn(|| Some(tree.take_changed()?.0)).collect();
    assert_eq!(order, ["old", "old/a", "run/a", "run"].map(PathBuf::from), "what is new first");
    tree.write(Path::new("x"), b"").expect("written");
    tree.forget_changes();
    assert!(!tree.has_changed());
}

#[test]
fn what_was_stored_comes_back_and_never_over_what_is_new() {
    let mut tree = Tree::new(10);
    let (new, old) = (Path::new("run/new"), Path::new("old"));
    tree.write(new, b"new").expect("written");
    tree.forget_changes();
    tree.restore(new, Node::file(b"stored".to_vec(), Time::UNIX_EPOCH)).expect("ignored");
    tree.restore(old, Node::file(b"stored".to_vec(), Time::UNIX_EPOCH)).expect("taken over");
    assert_eq!(tree.read(new).expect("there").as_ref(), b"new");
    assert_eq!(tree.metadata(old).expect("there").modified, Some(Time::UNIX_EPOCH));
    assert!(!tree.has_changed());
    let large = Node::file(vec![0; 2], Time::UNIX_EPOCH);
    assert_eq!(said(tree.restore(Path::new("large"), large)), Err(ErrorKind::StorageFull));
}

#[test]
fn a_reader_keeps_what_it_opened() {
    let mut tree = Tree::new(100);
    tree.write(Path::new("log"), b"one").expect("written");
    let opened = tree.read(Path::new("log")).expect("read");
    tree.append(Path::new("log"), b"two").expect("written");
    assert_eq!(opened.as_ref(), b"one");
    assert_eq!(tree.read(Path::new("/./log")).expect("read").as_ref(), b"onetwo");
    assert_eq!(tree.canonicalize(Path::new("a/../log")).expect("there"), Path::new("/log"));
}
