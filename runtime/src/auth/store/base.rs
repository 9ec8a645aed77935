//! What keeps rows, behind the few things that jobs need of it.

use std::fmt;

use super::super::secret::Digest;
use super::StoreError;

/// A database at work: one transaction at a time. Its SQL is what SQLite and PostgreSQL have in
/// common, with parameters `?1`, `?2` and so on.
pub(super) trait Base: fmt::Debug + Send {
    /// Begins a transaction. One that `writes` is alone: no other of the same realm begins before it
    /// ends, whichever process it is of.
    fn begin(&mut self, writes: bool) -> Result<(), StoreError>;

    /// Ends the transaction. What it wrote is on disk when this returns, if it is to be kept.
    fn end(&mut self, keep: bool) -> Result<(), StoreError>;

    /// Runs a statement; how many rows it changed.
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError>;

    /// Runs a query.
    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError>;

    /// Tells other processes with the same database, if there can be any, once the transaction is
    /// kept.
    fn tell(&self, notice: &Notice) -> Result<(), StoreError>;

    /// Whether other processes work with the same rows at the same time.
    fn is_shared(&self) -> bool;
}

/// What other processes with the same database have to know at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// a grant ended, with all its tokens
    Grant(String),
    /// an access token ended alone
    Token(Digest),
}

/// A value on its way into a row.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Null,
    Whole(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// A value that was read.
#[derive(Clone)]
pub(super) enum Field {
    Null,
    Whole(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row that was read.
pub(super) struct Row(pub(super) Vec<Field>);

// Rows hold digests and what is encrypted, parameters too: neither is printed.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Row {
    fn field(&self, at: usize) -> &Field {
        self.0.get(at).unwrap_or(&Field::Null)
    }

    pub(super) fn maybe_whole(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self.field(at) {
            Field::Whole(whole) => Ok(Some(*whole)),
            Field::Null => Ok(None),
            Field::Text(_) | Field::Bytes(_) => Err(StoreError::Row("number")),
        }
    }

    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<String>, StoreError> {
        match self.field(at) {
            Field::Text(text) => Ok(Some(text.clone())),
            Field::Null => Ok(None),
            Field::Whole(_) | Field::Bytes(_) => Err(StoreError::Row("text")),
        }
    }

    pub(super) fn maybe_bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.field(at) {
            Field::Bytes(bytes) => Ok(Some(bytes.clone())),
            Field::Null => Ok(None),
            Field::Whole(_) | Field::Text(_) => Err(StoreError::Row("bytes")),
        }
    }

    pub(super) fn whole(&self, at: usize) -> Result<i64, StoreError> {
        self.maybe_whole(at)?.ok_or(StoreError::Row("number"))
    }

    pub(super) fn text(&self, at: usize) -> Result<String, StoreError> {
        self.maybe_text(at)?.ok_or(StoreError::Row("text"))
    }

    pub(super) fn bytes(&self, at: usize) -> Result<Vec<u8>, StoreError> {
        self.maybe_bytes(at)?.ok_or(StoreError::Row("bytes"))
    }

    pub(super) fn truth(&self, at: usize) -> Result<bool, StoreError> {
        Ok(self.whole(at)? != 0)
    }
}

impl From<i64> for Value<'_> {
    fn from(whole: i64) -> Self {
        Self::Whole(whole)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Whole(i64::from(truth))
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(bytes: &'v Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'v> From<&'v Digest> for Value<'v> {
    fn from(digest: &'v Digest) -> Self {
        Self::Bytes(digest.as_bytes())
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The parameters of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::auth::store::base::Value::from($value)),*][..] };
}
pub(super) use values;
