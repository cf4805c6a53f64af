//! A whole set of settings in one line that can be sent to somebody.

use super::{ConfigError, RunConfig};

/// How a link begins.
const SCHEME: &str = "artune:";
/// Longer text is no link.
const LONGEST: usize = 1 << 16;

impl RunConfig {
    /// Everything that differs from the defaults, and always the seed, so that the same pictures come out wherever the
    /// link is opened: `artune:?beta=0.5&seed=0`.
    pub fn to_link(&self) -> String {
        let pairs = self.share_text();
        if pairs.split('&').any(|pair| pair.starts_with("seed=")) {
            return format!("{SCHEME}?{pairs}");
        }
        let gap = if pairs.is_empty() { "" } else { "&" };
        format!("{SCHEME}?{pairs}{gap}seed={}", self.seed)
    }

    /// Reads a link: as [`Self::to_link`] writes it, of a page (what follows `#` or `?`), or the pairs alone.
    ///
    /// # Errors
    /// [`ConfigError`] where there is nothing to read, or a pair is refused.
    pub fn from_link(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return Err(ConfigError::Syntax(text.chars().take(20).collect()));
        }
        let is_link = text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
            || text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"));
        // A value has neither of the two in it: both are written as escapes.
        let pairs = if is_link { text.rfind(['#', '?']).map_or("", |at| &text[at..]) } else { text };
        if pairs.is_empty() {
            return Err(ConfigError::Syntax(text.chars().take(60).collect()));
        }
        Self::from_share_text(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_always_names_the_seed_and_comes_back_the_same() {
        assert_eq!(RunConfig::default().to_link(), "artune:?seed=0");
        for config in [
            RunConfig { beta: 0.5, classes: "cat, dog".into(), ..RunConfig::default() },
            RunConfig { seed: 7, ..RunConfig::default() },
        ] {
            let link = config.to_link();
            assert_eq!(link.matches("seed=").count(), 1, "{link}");
            assert_eq!(RunConfig::from_link(&format!("  {link}\n")).unwrap(), config);
            let page = link.replace("artune:?", "https://example.org/artune/#");
            assert_eq!(RunConfig::from_link(&page).unwrap(), config);
            assert_eq!(RunConfig::from_link(&config.share_text()).unwrap(), config);
        }
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for bad in ["", "hello", "artune:", "https://example.org/", "artune:?nothing=1", "artune:?beta=x"] {
            assert!(RunConfig::from_link(bad).is_err(), "{bad}");
        }
        let long = "a".repeat(1 << 20);
        assert!(RunConfig::from_link(&long).unwrap_err().to_string().len() < 100);
        assert!(RunConfig::from_link("ärtun").is_err(), "no character is cut");
    }
}
