//! A teacher's link or lesson on the command line.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::config::lesson::LONGEST;
use crate::config::{Lesson, Link};
use crate::platform::files;

/// What a link and a lesson (a file, or the name of one that ships) begin together; nothing where neither is given.
///
/// # Errors
/// Where the link is refused, or the lesson cannot be read.
pub(super) fn read(link: Option<&str>, lesson: Option<&str>) -> Result<Option<(Link, Option<Lesson>)>> {
    let parsed = link.map(Link::parse).transpose()?;
    let source = lesson.or(parsed.as_ref().and_then(|link| link.lesson.as_deref()));
    let Some(source) = source else { return Ok(parsed.map(|link| (link, None))) };
    let lesson = open(source)?;
    let link = lesson.link.clone().over(link.unwrap_or_default())?;
    Ok(Some((link, Some(lesson))))
}

fn open(source: &str) -> Result<Lesson> {
    if let Some(lesson) = Lesson::shipped(source) {
        return Ok(lesson?);
    }
    if source.starts_with("http:") || source.starts_with("https:") {
        bail!("{source} is on the web, where the page opens it; save the file, and give its path to --lesson");
    }
    let mut bytes = vec![];
    // A byte more than there may be, so that a longer file is told from one that fits.
    let read = files::open(Path::new(source)).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes));
    read.with_context(|| source.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    Lesson::parse(&text).with_context(|| source.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_comes_from_the_program_a_file_or_the_link_and_the_link_has_the_last_word() {
        assert!(read(None, None).expect("nothing").is_none());
        let (_, lesson) = read(Some("?seed=3"), None).expect("a link").expect("given");
        assert!(lesson.is_none());
        let (link, lesson) = read(Some("?lesson=diversity&seed=3"), None).expect("a link").expect("given");
        assert_eq!((link.config.seed, lesson), (3, Lesson::shipped("diversity").map(|it| it.expect("valid"))));

        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("mine.toml");
        std::fs::write(&path, "title = 'A'\ntext = 'B'\nlink = 'beta=2&lock=loss&seed=5'").expect("written");
        let (link, lesson) = read(Some("?seed=3"), path.to_str()).expect("a file").expect("given");
        assert_eq!((link.config.beta, link.config.seed, link.restricts()), (2.0, 3, true));
        assert_eq!(lesson.expect("read").title, "A");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let refused = |lesson: &str| format!("{:#}", read(None, Some(lesson)).expect_err(lesson));
        assert!(refused("nowhere.toml").starts_with("nowhere.toml: "));
        assert!(refused("https://example.org/a.toml").contains("--lesson"));
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("long.toml");
        std::fs::write(&path, "#".repeat(LONGEST + 10)).expect("written");
        assert!(refused(path.to_str().expect("a path")).contains("64 KiB"));
    }
}
