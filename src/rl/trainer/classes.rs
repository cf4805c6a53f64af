//! Which classes the settings name.

use super::TrainError;

/// Names that an error lists at most.
const LISTED: usize = 10;

/// `"all"`, or a comma-separated list of classes → class ids. A class is named by its id (`#134`), by its whole name, also
/// where that has commas ("tench, Tinca tinca"), or by any one of the names in it; upper and lower case are the same.
///
/// # Errors
/// [`TrainError::UnknownClass`] and [`TrainError::AmbiguousClass`].
pub fn allowed_classes(asked: &str, names: &[String]) -> Result<Vec<usize>, TrainError> {
    if asked.trim() == "all" {
        return Ok((0..names.len()).collect());
    }
    let known: Vec<Vec<String>> = names.iter().map(|name| name.split(',').map(clean).collect()).collect();
    let longest = known.iter().map(Vec::len).max().unwrap_or(1);
    let pieces: Vec<String> = asked.split(',').map(clean).collect();
    let (mut classes, mut at) = (vec![], 0);
    while at < pieces.len() {
        let rest = &pieces[at..];
        // The longest whole name that begins here, before any part of one.
        let whole = (1..=longest.min(rest.len())).rev().find_map(|n| {
            let found: Vec<usize> = (0..known.len()).filter(|&class| known[class] == rest[..n]).collect();
            (!found.is_empty()).then_some((n, found))
        });
        let (taken, found) = match (whole, rest[0].strip_prefix('#').map(str::parse::<usize>)) {
            (Some(whole), _) => whole,
            (None, Some(Ok(id))) if id < names.len() => (1, vec![id]),
            _ => (1, (0..known.len()).filter(|&class| known[class].contains(&rest[0])).collect()),
        };
        match found[..] {
            [class] => classes.push(class),
            [] => {
                return Err(TrainError::UnknownClass {
                    asked: rest[0].clone(),
                    known: nearest(&rest[0], names, &known),
                });
            }
            _ => {
                let ids: Vec<String> =
                    found.iter().take(LISTED).map(|&class| format!("#{class} ({})", names[class])).collect();
                return Err(TrainError::AmbiguousClass { asked: rest[..taken].join(", "), ids: ids.join(", ") });
            }
        }
        at += taken;
    }
    Ok(classes)
}

/// Without what does not tell names apart.
fn clean(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What there is, the names that are most like `asked` first.
fn nearest(asked: &str, names: &[String], known: &[Vec<String>]) -> String {
    let mut order: Vec<usize> = (0..names.len()).collect();
    if names.len() <= LISTED {
        return format!("there are {}", names.join(", "));
    }
    order.sort_by_cached_key(|&class| {
        let part = |name: &String| (!asked.is_empty() && !name.contains(asked), distance(asked, name));
        known[class].iter().map(part).min()
    });
    let like: Vec<&str> = order.iter().take(LISTED).map(|&class| names[class].as_str()).collect();
    let (last, more) = (names.len() - 1, names.len() - LISTED);
    format!("those most like it are {} (and {more} more, #0 to #{last})", like.join("; "))
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::imagenet;

    #[test]
    fn classes_are_named_by_id_by_whole_name_or_by_one_of_their_names() {
        let names = imagenet::names().unwrap();
        let of = |asked: &str| allowed_classes(asked, &names);
        assert_eq!(of("all").unwrap().len(), 1000);
        assert_eq!(of("tench, Tinca tinca").unwrap(), [0]);
        assert_eq!(of("giant panda, tench,Tinca  tinca, #134, Golden Retriever").unwrap(), [388, 0, 134, 207]);
        assert!(of("panda").unwrap_err().to_string().contains("#387"), "two of its names");
        let crane = of("crane").unwrap_err().to_string();
        assert!(crane.contains("#134") && crane.contains("#517"), "{crane}");
        for (asked, like) in [("golden retriver", "golden retriever"), ("#1000", "#999"), ("", "tench")] {
            let error = of(asked).unwrap_err().to_string();
            assert!(error.contains(like) || asked.is_empty(), "{error}");
            assert!(error.len() < 1000, "{error}");
        }
        let own = ["cat".to_string(), "Dog".to_string()];
        assert_eq!(allowed_classes(" dog ,CAT", &own).unwrap(), [1, 0]);
        assert!(allowed_classes("cow", &own).unwrap_err().to_string().ends_with("there are cat, Dog"));
    }
}
