//! What a picture is called: class prompts for the rewards, captions for training CLIP.

use super::imagenet;

/// Ways of saying what a picture shows. `{name}` and `{class}` are put in with their article. Several name the class,
/// because class prompts are what the trained towers will be asked about.
pub const TEMPLATES: [&str; 6] = [
    "a picture of {name}",
    "a picture of {class}",
    "{name}, {class}",
    "a picture of {name}, {class}",
    "a small drawing of {name}",
    "{name}",
];

/// Heads of phrases end here: "face with open eyes" is one face.
const PREPOSITIONS: [&str; 8] = ["with", "without", "of", "on", "in", "over", "from", "holding"];

/// The prompt of a class, in one fixed form: "a picture of a heart". It is also one of the [`TEMPLATES`].
pub fn class_prompt(class: &str) -> String {
    format!("a picture of {}", with_article(&clean(class)))
}

/// How the prompt of a class is worded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptForm {
    /// "a picture of a heart": what the small towers were trained on.
    #[default]
    Picture,
    /// "a photo of a tench", of the first of several names: the paper's code.
    Photo,
    /// The name is the prompt: captions.
    Verbatim,
}

impl PromptForm {
    /// The prompt of a class.
    pub fn prompt(self, class: &str) -> String {
        match self {
            Self::Picture => class_prompt(class),
            Self::Photo => imagenet::class_prompt(class),
            Self::Verbatim => class.to_string(),
        }
    }

    /// The prompts of all classes.
    pub fn prompts(self, classes: &[String]) -> Vec<String> {
        classes.iter().map(|class| self.prompt(class)).collect()
    }
}

/// A caption for a picture called `name` in `class`, by [`TEMPLATES`]`[template % 6]`. A name that says nothing (it has
/// a digit, as "IMG_0042" of a camera, or no letter, or is the class itself) gives the class prompt.
pub fn caption(name: &str, class: &str, template: usize) -> String {
    let (noun, kind) = (clean(name), clean(class));
    let says_something = noun.chars().any(char::is_alphabetic) && !noun.chars().any(|c| c.is_ascii_digit());
    if !says_something || noun == kind {
        return class_prompt(class);
    }
    TEMPLATES[template % TEMPLATES.len()]
        .replace("{name}", &with_article(&noun))
        .replace("{class}", &with_article(&kind))
}

/// Lower case, `_` and `-` as spaces, no doubled spaces.
pub fn clean(name: &str) -> String {
    let spaced = name.to_lowercase().replace(['_', '-'], " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// "a heart", "an insect", "an eagle", "a unicorn"; a plural takes no article.
fn with_article(noun: &str) -> String {
    let words: Vec<&str> = noun.split(' ').collect();
    let head = match words.iter().position(|word| PREPOSITIONS.contains(word)) {
        Some(end) if end > 0 => words[end - 1],
        _ => words[words.len() - 1],
    };
    let plural = head.ends_with('s') && !["ss", "us", "is"].iter().any(|end| head.ends_with(end));
    if plural {
        return noun.to_string();
    }
    let starts = |list: &[&str]| list.iter().any(|start| noun.starts_with(start));
    // By sound: "you" and "won" begin with a consonant, "our" does not.
    let vowel = (starts(&["a", "e", "i", "o", "u", "hour"])) && !starts(&["uni", "use", "eu", "ewe", "one "]);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_prompt_takes_the_first_name_of_a_class_and_a_caption_stands_as_it_is() {
        assert_eq!(PromptForm::Photo.prompt("great white shark, white shark"), "a photo of a great white shark");
        assert_eq!(PromptForm::Verbatim.prompt("Two cats, asleep."), "Two cats, asleep.");
        assert_eq!(PromptForm::Picture.prompt("heart"), "a picture of a heart");
    }

    #[test]
    fn class_prompts_have_the_right_article() {
        for (class, prompt) in [
            ("heart", "a picture of a heart"),
            ("animal", "a picture of an animal"),
            ("insect", "a picture of an insect"),
            ("aircraft", "a picture of an aircraft"),
            ("tree or leaf", "a picture of a tree or leaf"),
            ("Red_Roses", "a picture of red roses"),
        ] {
            assert_eq!(class_prompt(class), prompt);
        }
    }

    #[test]
    fn names_take_the_article_they_are_spoken_with() {
        for (name, spoken) in [
            ("unicorn", "a unicorn"),
            ("unamused face", "an unamused face"),
            ("ewe", "a ewe"),
            ("one oclock", "a one oclock"),
            ("octopus", "an octopus"),
            ("grapes", "grapes"),
            ("clinking glasses", "clinking glasses"),
            ("face with crossed out eyes", "a face with crossed out eyes"),
            ("smiling face with hearts", "a smiling face with hearts"),
            ("hibiscus", "a hibiscus"),
        ] {
            assert_eq!(caption(name, "thing", 5), spoken);
        }
    }

    #[test]
    fn captions_follow_their_template() {
        assert_eq!(caption("red_heart", "heart", 0), "a picture of a red heart");
        assert_eq!(caption("red heart", "heart", 1), class_prompt("heart"));
        assert_eq!(caption("angry-face", "smiley face", 2), "an angry face, a smiley face");
        assert_eq!(caption("red heart", "heart", 6), caption("red heart", "heart", 0), "templates wrap around");
    }

    #[test]
    fn names_that_say_nothing_fall_back_to_the_class() {
        for name in ["IMG_0042", "17", "", "--", "Heart"] {
            for template in 0..TEMPLATES.len() {
                assert_eq!(caption(name, "heart", template), "a picture of a heart");
            }
        }
    }
}
