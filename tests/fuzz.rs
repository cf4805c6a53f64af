//! Hostile files: every reader of tensors against damaged real files. None may panic, hang, or reserve more memory than
//! a small multiple of the file's length.
//!
//! Cases are the same in every run. `ARTUNE_FUZZ` sets how many each reader gets; see `docs/formats.md` for the record.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use artune::formats::{Dtype, Info, Tensors, write};

/// Cases for each reader unless `ARTUNE_FUZZ` says otherwise.
const CASES: u64 = 500;
/// Bytes that may be reserved at once for each byte of a file, the file itself not counted.
const FACTOR: usize = 56;
/// Bytes that may be reserved however short a file is; compressed arrays may always have a mebibyte.
const SMALL: usize = 384 << 10;
const SMALL_ARRAYS: usize = (3 << 20) + SMALL;
/// How long one file may take, on a busy computer and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    // Another thread may have reserved what this one gives back.
    let held = (HELD.get() + more).saturating_sub(less);
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: hands every call on to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        count(size, 0);
        count(0, layout.size());
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes reserved at most while `work` runs, beside those that were before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (PEAK.get() - before, result)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A place in a file: anywhere, or among its first or last bytes, where its structure is.
    fn place(&mut self, len: usize) -> usize {
        match self.below(3) {
            0 => self.below(len),
            1 => self.below(len.min(512)),
            _ => len.saturating_sub(1 + self.below(len.min(512))),
        }
    }
}

/// Damages a file in one to four ways.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let (len, at) = (bytes.len(), random.place(bytes.len()));
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                bytes.drain(at..(at + 1 + random.below(64)).min(len));
            }
            4 => {
                let piece = bytes[at..(at + 1 + random.below(256)).min(len)].to_vec();
                let to = random.place(len);
                bytes.splice(to..to, piece.repeat(1 + random.below(4)));
            }
            5 => {
                let other = random.pick(others);
                let from = random.place(other.len());
                let piece = &other[from..(from + 1 + random.below(512)).min(other.len())];
                bytes.splice(at..(at + random.below(512)).min(len), piece.iter().copied());
            }
            // Lengths, offsets and counts of every width, near what is there, at the ends of their range, absurd.
            6 | 7 => {
                let width = *random.pick(&[1usize, 2, 4, 8]);
                let Some(field) = bytes.get_mut(at..at + width) else { continue };
                let mut old = [0; 8];
                old[..width].copy_from_slice(field);
                let old = u64::from_le_bytes(old);
                let near =
                    [old.wrapping_add(1), old.wrapping_sub(1), old << 1, old << 8, !old, len as u64, len as u64 + 1];
                let ends = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX >> 1, u64::MAX];
                let new = if random.below(2) == 0 { *random.pick(&near) } else { *random.pick(&ends) };
                field.copy_from_slice(&new.to_le_bytes()[..width]);
            }
            // Numbers that are written out.
            _ => {
                let Some(digit) = (at..len.min(at + 64)).find(|&at| bytes[at].is_ascii_digit()) else { continue };
                let number = *random.pick(&["0", "-1", "9", "99", "4294967296", "18446744073709551615"]);
                bytes.splice(digit..digit + 1, number.bytes());
            }
        }
    }
}

/// Opens a file and reads all its tensors; whether it was accepted.
fn exercise(bytes: Vec<u8>) -> bool {
    let len = bytes.len();
    let Ok(open) = Tensors::open(bytes) else { return false };
    let names: Vec<String> = open.names().map(str::to_owned).collect();
    let mut read = 0;
    for name in names {
        let info = open.info(&name).expect("a tensor that is listed is known");
        if let Ok(bytes) = open.bytes(&name) {
            assert_eq!(Some(bytes.len()), info.bytes(), "{name}");
            read += bytes.len();
        }
        if let Ok(numbers) = open.f32(&name) {
            assert_eq!(numbers.len(), info.shape.iter().product::<usize>(), "{name}");
        }
        // Views of one storage may be read over and over; that is the caller's to do.
        if read > 16 * len {
            break;
        }
    }
    true
}

/// A reader and the files it is fuzzed with.
struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    /// Makes a file of what was damaged, where that is only a part.
    pack: fn(Vec<u8>) -> Vec<u8>,
    small: usize,
}

impl Target {
    fn run(&self) {
        let cases = std::env::var("ARTUNE_FUZZ").map_or(CASES, |cases| cases.parse().expect("ARTUNE_FUZZ is a number"));
        assert!(!self.seeds.is_empty(), "no files for {}", self.name);
        for seed in &self.seeds {
            assert!(exercise((self.pack)(seed.clone())), "a sound file for {} is refused", self.name);
        }
        let (start, mut accepted, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        let (mut worst_factor, mut worst_peak) = (0.0f64, 0);
        for case in 0..cases {
            let mut random = Random(case);
            let mut bytes = random.pick(&self.seeds).clone();
            mutate(&mut bytes, &self.seeds, &mut random);
            let bytes = (self.pack)(bytes);
            let (len, began) = (bytes.len(), Instant::now());
            let (peak, result) = peak(|| catch_unwind(AssertUnwindSafe(|| exercise(bytes))));
            let Ok(sound) = result else { panic!("{}: case {case} panics", self.name) };
            accepted += u64::from(sound);
            slowest = slowest.max(began.elapsed());
            worst_peak = worst_peak.max(peak);
            worst_factor = worst_factor.max(peak.saturating_sub(self.small) as f64 / len.max(1) as f64);
            assert!(peak <= FACTOR * len + self.small, "{}: case {case} reserves {peak} bytes for {len}", self.name);
            assert!(began.elapsed() < PATIENCE, "{}: case {case} takes {:?}", self.name, began.elapsed());
        }
        println!(
            "{}: {cases} cases in {:.1} s, {accepted} still opened, slowest {:.0} ms; peak {worst_peak} bytes, {worst_factor:.2} times the file beyond {}",
            self.name,
            start.elapsed().as_secs_f64(),
            slowest.as_secs_f64() * 1e3,
            self.small,
        );
    }
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

/// All files of the golden cases whose path holds one of `parts`.
fn files(parts: &[&str]) -> Vec<Vec<u8>> {
    let folders = std::fs::read_dir(reference()).expect("the golden cases").flatten();
    let files = folders.filter_map(|folder| Some(std::fs::read_dir(folder.path()).ok()?.flatten())).flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| parts.iter().any(|part| path.to_string_lossy().contains(part)));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a golden case")).collect()
}

fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// An archive of these members, some of them deflated.
fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut writer = rawzip::ZipArchiveWriter::new(vec![]);
    for (name, bytes, deflated) in members {
        let method = if *deflated { rawzip::CompressionMethod::DEFLATE } else { rawzip::CompressionMethod::STORE };
        let (mut entry, config) = writer.new_file(*name).compression_method(method).start().expect("a member");
        let level = flate2::Compression::fast();
        let end = if *deflated {
            let mut data = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, level));
            data.write_all(bytes).expect("memory");
            let (encoder, end) = data.finish().expect("memory");
            encoder.finish().expect("memory");
            end
        } else {
            let mut data = config.wrap(&mut entry);
            data.write_all(bytes).expect("memory");
            data.finish().expect("memory").1
        };
        entry.finish(end).expect("memory");
    }
    writer.finish().expect("memory")
}

/// A PyTorch archive around a pickle: its storages have 256 bytes each.
fn around_pickle(pickle: Vec<u8>) -> Vec<u8> {
    let names: Vec<String> = (0..64).map(|key| format!("x/data/{key}")).collect();
    let storages = names.iter().map(|name| (name.as_str(), &[0x3c; 256][..], false));
    let members: Vec<_> = [("x/data.pkl", pickle.as_slice(), false)].into_iter().chain(storages).collect();
    archive(&members)
}

/// An archive of numpy's around an array, compressed or not.
fn around_array(array: Vec<u8>) -> Vec<u8> {
    let deflated = array.len() % 2 == 0;
    archive(&[("a.npy", &array, deflated)])
}

/// The member of an archive that was written with nothing compressed.
fn pickle_of(file: &[u8]) -> Option<Vec<u8>> {
    let archive = rawzip::ZipArchive::from_slice(file).ok()?;
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().ok()? {
        if entry.file_path().as_bytes().ends_with(b"/data.pkl") {
            return Some(archive.get_entry(entry.wayfinder()).ok()?.data().to_vec());
        }
    }
    None
}

/// Arrays of several kinds and orders, as `numpy.save` writes them.
fn arrays() -> Vec<Vec<u8>> {
    let array = |text: &str, bytes: usize| {
        let text = format!("{text:<117}\n");
        let numbers = (0..bytes).map(|at| at as u8);
        [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()]
            .concat()
            .into_iter()
            .chain(numbers)
    };
    vec![
        array("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", 48).collect(),
        array("{'descr': '<f8', 'fortran_order': True, 'shape': (5, 2), }", 80).collect(),
        array("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, 3), }", 24).collect(),
        array("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", 8).collect(),
    ]
}

/// Archives of arrays: our own, and compressed ones.
fn archives() -> Vec<Vec<u8>> {
    let mut npz = write::Npz::new(vec![]);
    for (name, dtype, shape) in
        [("mu", Dtype::F64, vec![6]), ("sigma", Dtype::F64, vec![6, 6]), ("n", Dtype::I64, vec![])]
    {
        let info = Info { dtype, shape };
        npz.array(name, &info).expect("an array");
        npz.write(&vec![1; info.bytes().expect("small")]).expect("memory");
    }
    let [a, b, c, ..] = &arrays()[..] else { return vec![] };
    let mixed = archive(&[("a.npy", a, true), ("b.npy", b, true), ("c.npy", c, false), ("note.txt", b"hello", true)]);
    vec![npz.finish().expect("memory"), mixed]
}

/// Small files of our own writer beside the golden ones.
fn safetensors() -> Vec<Vec<u8>> {
    let info = |dtype, shape| Info { dtype, shape };
    let tensors = BTreeMap::from([
        ("a.weight".to_owned(), info(Dtype::F16, vec![3, 5])),
        ("a.bias".to_owned(), info(Dtype::F32, vec![5])),
        ("steps".to_owned(), info(Dtype::I64, vec![])),
    ]);
    let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut own = vec![];
    write::safetensors(&mut own, &tensors, &notes, &mut |name| Ok(vec![0; tensors[name].bytes().unwrap_or(0)]))
        .expect("memory");
    [vec![own], files(&["pt_formats/expected.safetensors", "grpo_token/io.safetensors"])].concat()
}

#[test]
fn safetensors_that_are_damaged_are_no_danger() {
    Target { name: "safetensors", seeds: safetensors(), pack: as_it_is, small: SMALL }.run();
}

#[test]
fn archives_of_pytorch_that_are_damaged_are_no_danger() {
    Target { name: "PyTorch (zip)", seeds: files(&["pt_formats/zip"]), pack: as_it_is, small: SMALL }.run();
}

#[test]
fn old_files_of_pytorch_that_are_damaged_are_no_danger() {
    Target { name: "PyTorch (before 1.6)", seeds: files(&["pt_formats/legacy"]), pack: as_it_is, small: SMALL }.run();
}

#[test]
fn archives_of_torchscript_that_are_damaged_are_no_danger() {
    Target { name: "TorchScript", seeds: files(&["jit_archive.pt"]), pack: as_it_is, small: SMALL }.run();
}

#[test]
fn pickles_that_are_damaged_are_no_danger() {
    let seeds = files(&["pt_formats/zip"]).iter().filter_map(|file| pickle_of(file)).collect();
    let target = Target { name: "pickles", seeds, pack: around_pickle, small: SMALL };
    target.run();
}

#[test]
fn archives_of_numpy_that_are_damaged_are_no_danger() {
    Target { name: "npz", seeds: archives(), pack: as_it_is, small: SMALL_ARRAYS }.run();
}

#[test]
fn arrays_in_archives_that_are_damaged_are_no_danger() {
    Target { name: "arrays in npz", seeds: arrays(), pack: around_array, small: SMALL_ARRAYS }.run();
}

#[test]
fn arrays_that_are_damaged_are_no_danger() {
    Target { name: "npy", seeds: arrays(), pack: as_it_is, small: SMALL }.run();
}

/// Files made to cost as much as they can for their length.
#[test]
fn bombs_are_no_danger() {
    const LEN: usize = 1 << 20;
    let pickle = |before: &[u8], body: &[u8], after: &[u8]| {
        around_pickle([b"\x80\x02", before, &body.repeat(LEN / body.len()), after, b"."].concat())
    };
    let view = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x40tQK\x00(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01tq\x01h\x01tq\x02R";
    let names: Vec<u8> =
        (0u32..150_000).flat_map(|n| [&b"U\x03"[..], &n.to_le_bytes()[..3], b"h\x03"].concat()).collect();
    let tensors = [b"}(U\x01a", &view[..], b"q\x03"].concat();
    let json = |entry: &dyn Fn(usize) -> String| {
        let text = format!("{{{}}}", (0..LEN / 60).map(entry).collect::<Vec<_>>().join(","));
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    };
    let array = |shape: &str, numbers: &[u8]| {
        let text = format!("{{'descr': '<f2', 'fortran_order': True, 'shape': ({shape}), }}");
        archive(&[("a.npy", &[b"\x93NUMPY\x01\0\x60\0", format!("{text:<96}").as_bytes(), numbers].concat(), true)])
    };
    let mut random = Random(1);
    let noise: Vec<u8> = (0..LEN).map(|_| random.next() as u8).collect();
    // Of half precision, each expanded as far as it may be.
    let storage = b"(U\x07storagectorch\nHalfStorage\nU\x010U\x03cpuJ\x00\x00\x08\x00tQ";
    let place = b"K\x00K\x07J\x00\x00\x08\x00\x86K\x00K\x01\x86tR";
    let expanded = [b"\x80\x02}U\x01actorch._utils\n_rebuild_tensor_v2\n(", &storage[..], place, b"s."].concat();
    for (name, file) in [
        ("expanded", archive(&[("x/data.pkl", &expanded, false), ("x/data/0", &noise, false)])),
        ("compressed", array("2, 3932160", &[noise.as_slice(), &vec![0; 14 * LEN]].concat())),
        ("numbers", pickle(b"", b"K\x01", b"")),
        ("marks", pickle(b"", b"(", b"")),
        ("dictionaries", pickle(b"", b"}", b"")),
        ("lists", pickle(b"", b"]", b"")),
        ("list in list", pickle(b"", b"]a", b"")),
        ("entries of one list", pickle(b"](", b"N", b"e")),
        ("entries of one dictionary", pickle(b"}(", b"NN", b"u")),
        ("memory", pickle(b"N", b"\x94", b"")),
        ("tuples", pickle(b"N", b"\x85", b"")),
        ("tuples of many", pickle(b"N", b"2\x85\x85\x85", b"")),
        ("storages", pickle(b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x40tq\x00", b"h\x00Q", b"")),
        ("calls", pickle(&view[..], b"h\x00h\x02R", b"")),
        ("modules", pickle(b"c__torch__.a\nB\nq\x00", b"h\x00)\x81", b"")),
        ("deep modules", pickle(b"c__torch__.a\nB\nq\x00", b"h\x00)\x81}U\x01a", b"")),
        ("names of one tensor", around_pickle([b"\x80\x02", &tensors[..], &names, b"u."].concat())),
        ("many tensors", json(&|n| format!(r#""{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))),
        (
            "long shapes",
            json(&|n| format!(r#""{n}":{{"dtype":"U8","shape":[0{}],"data_offsets":[0,0]}}"#, ",1".repeat(40))),
        ),
        ("notes", json(&|n| format!(r#""{n}":{{}}"#))),
        ("zeros", array("2, 8388608", &vec![0; 32 * LEN])),
    ] {
        let (len, start) = (file.len(), Instant::now());
        let (peak, sound) = peak(|| exercise(file));
        let time = start.elapsed();
        println!("{name}: {len} bytes, {sound}, {time:.1?}, {:.2} times", peak as f64 / len as f64);
        assert!(peak <= FACTOR * len + SMALL_ARRAYS, "{name}: {peak} bytes for {len}");
        assert!(time < PATIENCE, "{name}: {time:?}");
    }
}
