//! The settings of providers, as configuration has them.

use super::super::clock::Clock;
use super::super::fetch::Fetcher;
use crate::config::Concealed;

/// A setting that a kind of provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// its name
    pub name: &'static str,
    /// what it is, for documentation and errors
    pub meaning: &'static str,
    /// what holds when it is not set
    pub unset: Unset,
}

/// What holds when a setting is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// it must be there
    Required,
    /// it may be absent
    Absent,
    /// this value
    Value(&'static str),
}

/// The settings of one provider, references resolved.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// our name at the provider
    pub client_id: String,
    /// our secret there; a public client has none
    pub client_secret: Option<Concealed<String>>,
    /// scopes to ask for, separated by spaces
    pub scope: Option<String>,
    /// the provider's own settings, by [`Key`]
    pub values: Vec<(String, String)>,
    /// more parameters of the authorization request
    pub extra_authorize_params: Vec<(String, String)>,
}

/// What providers share.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// the way out
    pub fetcher: Fetcher,
    /// the time
    pub clock: Clock,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct SettingError {
    /// its name within the provider's section
    pub key: String,
    /// what is wrong
    pub problem: String,
}

impl SettingError {
    /// An error about a setting.
    pub fn new(key: &str, problem: impl Into<String>) -> Self {
        Self { key: key.to_owned(), problem: problem.into() }
    }
}

impl Settings {
    /// A setting, or its default.
    ///
    /// # Errors
    /// When it must be there and is not.
    pub fn get(&self, key: &Key) -> Result<Option<String>, SettingError> {
        let set = self.values.iter().find(|(name, _)| name == key.name);
        match (set, key.unset) {
            (Some((_, value)), _) => Ok(Some(value.clone())),
            (None, Unset::Value(value)) => Ok(Some(value.to_owned())),
            (None, Unset::Absent) => Ok(None),
            (None, Unset::Required) => Err(SettingError::new(key.name, "is missing")),
        }
    }

    /// A setting that is a URL which may be asked, without the slashes at its end.
    ///
    /// # Errors
    /// When it must be there and is not, or is no such URL.
    pub fn url(&self, key: &Key, fetcher: &Fetcher) -> Result<Option<String>, SettingError> {
        let Some(url) = self.get(key)? else { return Ok(None) };
        fetcher
            .check(&url)
            .map_err(|error| SettingError::new(key.name, format!("is not usable: {error}")))?;
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }

    /// The scopes to ask for, or those of `default`.
    pub fn scopes(&self, default: &str) -> Vec<String> {
        let scope = self.scope.as_deref().unwrap_or(default);
        scope.split_ascii_whitespace().map(str::to_owned).collect()
    }
}
