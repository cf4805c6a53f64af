//! Settings as text: TOML for files, `key=value` pairs for links and the command line.

use super::{ConfigError, PARAMS, Param, RunConfig, Value};

impl RunConfig {
    /// All parameters as TOML, under their groups as comments.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        for param in PARAMS {
            if param.group != group {
                group = param.group;
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}# {group}\n"));
            }
            if let Some(value) = self.get(param.name) {
                text.push_str(&format!("{} = {}\n", param.name, toml_value(&value)));
            }
        }
        text
    }

    /// Reads TOML; parameters it leaves out keep their defaults.
    ///
    /// # Errors
    /// [`ConfigError`] for text that is not TOML, an unknown key (with the nearest name), or a value that is of the
    /// wrong type or out of range.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse()?;
        let mut config = Self::default();
        for (name, value) in table {
            let param = Param::find(&name)?;
            let value = match value {
                toml::Value::Float(x) => Value::Float(x),
                toml::Value::Integer(x) => Value::Int(x),
                toml::Value::Boolean(x) => Value::Bool(x),
                // Surrounding blanks mean nothing here, as on the command line.
                toml::Value::String(x) => Value::Text(x.trim().to_owned().into()),
                other => return Err(param.wrong_type(&other.to_string())),
            };
            config.assign(param.name, param.check(value)?);
        }
        config.validate()?;
        Ok(config)
    }

    /// What differs from the defaults, as `key=value` pairs joined by `&`; nothing where nothing differs. Characters
    /// that a link or a shell would trip over are percent-encoded.
    pub fn share_text(&self) -> String {
        let pairs = self.changes().map(|(name, value)| format!("{name}={}", encode(&value.to_string())));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Reads pairs joined by `&` or blanks, in any order; a leading `?` or `#` of a link is ignored.
    ///
    /// # Errors
    /// [`ConfigError`] for a piece that is no pair, an unknown name, or a value refused.
    pub fn from_share_text(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let pairs = text
            .trim()
            .trim_start_matches(['?', '#'])
            .split(|c: char| c == '&' || c.is_whitespace())
            .filter(|piece| !piece.is_empty())
            .map(|piece| {
                let (name, value) = piece.split_once('=').ok_or_else(|| ConfigError::Syntax(piece.into()))?;
                Ok((name, decode(value).ok_or_else(|| ConfigError::Syntax(piece.into()))?))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        config.apply(pairs.iter().map(|(name, value)| (*name, value.as_str())))?;
        Ok(config)
    }

    /// The parameters that differ from the defaults, in the order of the table.
    pub fn changes(&self) -> impl Iterator<Item = (&'static str, Value)> {
        PARAMS.iter().filter_map(|p| Some((p.name, self.get(p.name)?)).filter(|(_, value)| *value != p.default))
    }
}

fn toml_value(value: &Value) -> String {
    match value {
        // `{:?}` keeps a point or an exponent, without which TOML would read a whole number.
        Value::Float(x) => format!("{x:?}"),
        Value::Text(x) => toml::Value::String(x.to_string()).to_string(),
        other => other.to_string(),
    }
}

pub(super) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.,:/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// `None` where an escape is cut short or the bytes are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        out.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kind;
    use proptest::prelude::*;

    /// Configs with every parameter drawn from its range.
    fn configs() -> impl Strategy<Value = RunConfig> {
        let values: Vec<BoxedStrategy<Value>> = PARAMS
            .iter()
            .map(|param| match param.kind {
                Kind::Float { min, max, .. } => (min..=max).prop_map(Value::Float).boxed(),
                Kind::Int { min, max } => (min..=max).prop_map(Value::Int).boxed(),
                Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
                Kind::Choice(names) => prop::sample::select(names).prop_map(|x| Value::Text(x.into())).boxed(),
                Kind::Text => "[a-zé\"&=%+#' ,]{0,9}x".prop_map(|x| Value::Text(x.trim().to_owned().into())).boxed(),
            })
            .collect();
        values.prop_map(|values| {
            let mut config = RunConfig::default();
            for (param, value) in PARAMS.iter().zip(values) {
                config.assign(param.name, param.check(value).unwrap());
            }
            for (network, weight) in [
                (&config.clip_network, &mut config.clip_weight),
                (&config.preference_network, &mut config.preference_weight),
            ] {
                *weight = if network == "none" { 0.0 } else { *weight };
            }
            for (low, high) in [
                (&mut config.entropy_min, &mut config.entropy_max),
                (&mut config.entropy_warmup, &mut config.entropy_decay_from),
            ] {
                (*low, *high) = (low.min(*high), low.max(*high));
            }
            config.validate().unwrap();
            config
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn file_link_and_arguments_all_give_the_config_back(config in configs()) {
            prop_assert_eq!(&RunConfig::from_toml(&config.to_toml()).unwrap(), &config);
            prop_assert_eq!(&RunConfig::from_share_text(&config.share_text()).unwrap(), &config);
            prop_assert_eq!(&RunConfig::from_share_text(&config.share_text().replace('&', " ")).unwrap(), &config);
            let mut set = RunConfig::default();
            let pairs: Vec<_> = config.changes().map(|(name, value)| (name, value.to_string())).collect();
            set.apply(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
            prop_assert_eq!(&set, &config);
        }
    }

    #[test]
    fn a_link_holds_only_what_differs() {
        assert_eq!(RunConfig::default().share_text(), "");
        let config = RunConfig { beta: 0.5, classes: "cat, dog".into(), ..Default::default() };
        assert_eq!(config.share_text(), "classes=cat,%20dog&beta=0.5");
        assert_eq!(RunConfig::from_share_text("#beta=0.5 classes=cat,%20dog").unwrap(), config);
    }

    #[test]
    fn unknown_keys_wrong_types_and_broken_pairs_are_refused() {
        let unknown = RunConfig::from_toml("learning_rat = 1e-4").unwrap_err().to_string();
        assert!(unknown.contains("did you mean `learning_rate`?"), "{unknown}");
        assert!(matches!(RunConfig::from_toml("prompts = [1]"), Err(ConfigError::Type { .. })));
        assert!(matches!(RunConfig::from_toml("classes = ['cat']"), Err(ConfigError::Type { .. })));
        assert!(matches!(RunConfig::from_toml("prompts = "), Err(ConfigError::Toml(_))));
        assert!(matches!(RunConfig::from_share_text("beta"), Err(ConfigError::Syntax(_))));
        assert!(matches!(RunConfig::from_share_text("classes=%2"), Err(ConfigError::Syntax(_))));
        assert_eq!(RunConfig::from_toml("beta = 2").unwrap().beta, 2.0);
    }
}
