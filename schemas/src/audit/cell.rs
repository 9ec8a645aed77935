//! How a field's value is written, and which column it is in queries.

use std::io::Write as _;

use super::text::{Json, JsonText, LIST_ITEMS_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX};

/// A value of a field.
pub trait Cell {
    /// Its type in queries.
    const COLUMN: Column;

    /// Appends it as JSON, on one line and within the limits of its type.
    fn write(&self, out: &mut Vec<u8>);
}

/// The type of a field in queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// text
    Text,
    /// a point in time, RFC 3339 with microseconds in UTC
    Time,
    /// a whole number
    Count,
    /// a list of texts
    Texts,
    /// any JSON value
    Json,
    /// named texts
    Struct(&'static [&'static str]),
}

impl Column {
    /// The type as DuckDB spells it. A time is text there: MXCP's own records spell the offset
    /// differently, so queries convert it.
    pub fn duckdb(self) -> String {
        match self {
            Self::Text | Self::Time => "VARCHAR".to_owned(),
            Self::Count => "UBIGINT".to_owned(),
            Self::Texts => "VARCHAR[]".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Struct(names) => {
                let fields: Vec<String> = names.iter().map(|n| format!("{n} VARCHAR")).collect();
                format!("STRUCT({})", fields.join(", "))
            }
        }
    }

    /// The type in the documentation's words.
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Time => "time".to_owned(),
            Self::Count => "number".to_owned(),
            Self::Texts => "list of texts".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Struct(names) => format!("`{{{}}}`", names.join(", ")),
        }
    }
}

/// A caller as the identity provider describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Principal<'a> {
    /// login name
    pub username: Option<&'a str>,
    /// e-mail address
    pub email: Option<&'a str>,
    /// the provider's name
    pub provider: Option<&'a str>,
}

/// The program that called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client<'a> {
    /// identifier it registered with
    pub id: Option<&'a str>,
    /// address it called from
    pub ip: Option<&'a str>,
}

impl Cell for Principal<'_> {
    const COLUMN: Column = Column::Struct(&["username", "email", "provider"]);
    fn write(&self, out: &mut Vec<u8>) {
        let values = [("username", self.username), ("email", self.email)];
        group(out, values.into_iter().chain([("provider", self.provider)]));
    }
}

impl Cell for Client<'_> {
    const COLUMN: Column = Column::Struct(&["id", "ip"]);
    fn write(&self, out: &mut Vec<u8>) {
        group(out, [("id", self.id), ("ip", self.ip)].into_iter());
    }
}

fn group<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    let mut lead = b'{';
    for (name, value) in members {
        super::member(out, &mut lead, name, &value);
    }
    out.push(b'}');
}

impl<T: Cell> Cell for Option<T> {
    const COLUMN: Column = T::COLUMN;
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl Cell for &str {
    const COLUMN: Column = Column::Text;
    fn write(&self, out: &mut Vec<u8>) {
        JsonText::new(out, TEXT_BYTES_MAX).string(self);
    }
}

impl Cell for u64 {
    const COLUMN: Column = Column::Count;
    fn write(&self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{self}");
    }
}

impl Cell for jiff::Timestamp {
    const COLUMN: Column = Column::Time;
    fn write(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "\"{self:.6}\"");
    }
}

impl Cell for &[&str] {
    const COLUMN: Column = Column::Texts;
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, item) in self.iter().take(LIST_ITEMS_MAX).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            JsonText::new(out, LIST_ITEM_BYTES_MAX).string(item);
        }
        if self.len() > LIST_ITEMS_MAX {
            let _ = write!(out, ",\"[cut: {} more]\"", self.len() - LIST_ITEMS_MAX);
        }
        out.push(b']');
    }
}

impl Cell for &dyn Json {
    const COLUMN: Column = Column::Json;
    fn write(&self, out: &mut Vec<u8>) {
        self.write_json(&mut JsonText::new(out, VALUE_BYTES_MAX));
    }
}

/// Bytes of an item of a list of names.
const LIST_ITEM_BYTES_MAX: usize = 512;
