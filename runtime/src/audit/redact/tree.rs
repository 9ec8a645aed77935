//! One view of the several types that hold values: JSON from a client, arguments that were
//! understood, values of results.

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::arguments::Argument;
use crate::json::Json;

/// What a value is, without what is in it.
#[derive(Clone, Copy)]
pub enum Kind<'t> {
    /// `null`
    Null,
    /// a truth value
    Bool(bool),
    /// a number, displayed as JSON
    Number(&'t dyn fmt::Display),
    /// text
    Text(&'t str),
    /// a list; see [`Tree::items`]
    List,
    /// an object; see [`Tree::members`]
    Object,
}

/// A value that may hold others.
pub trait Tree: fmt::Debug + Sync + Sized {
    /// What it is.
    fn kind(&self) -> Kind<'_>;

    /// The items, if it is a list.
    fn items(&self) -> impl ExactSizeIterator<Item = &Self>;

    /// The members, if it is an object.
    fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Self)>;
}

impl Tree for Json<'_> {
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(value) => Kind::Bool(*value),
            Self::Number(text) => Kind::Number(text),
            Self::String(text) => Kind::Text(text),
            Self::Array(_) => Kind::List,
            Self::Object(_) => Kind::Object,
        }
    }

    fn items(&self) -> impl ExactSizeIterator<Item = &Self> {
        let items: &[Self] = if let Self::Array(items) = self { items } else { &[] };
        items.iter()
    }

    fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        let members: &[_] = if let Self::Object(members) = self { members } else { &[] };
        members.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Tree for Argument {
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(value) => Kind::Bool(*value),
            Self::Int(value) => Kind::Number(value),
            Self::Double(value) => Kind::Number(value),
            Self::Text(text)
            | Self::Date(text, _)
            | Self::Time(text, _)
            | Self::DateTime(text, _)
            | Self::Timestamp(text, _)
            | Self::Duration(text, _) => Kind::Text(text),
            Self::List(_) => Kind::List,
            Self::Object(_) => Kind::Object,
        }
    }

    fn items(&self) -> impl ExactSizeIterator<Item = &Self> {
        let items: &[Self] = if let Self::List(items) = self { items } else { &[] };
        items.iter()
    }

    fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        let members: &[_] = if let Self::Object(members) = self { members } else { &[] };
        members.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Tree for Value {
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(value) => Kind::Bool(*value),
            Self::Number(value) => Kind::Number(value),
            Self::String(text) => Kind::Text(text),
            Self::Array(_) => Kind::List,
            Self::Object(_) => Kind::Object,
        }
    }

    fn items(&self) -> impl ExactSizeIterator<Item = &Self> {
        let items: &[Self] = if let Self::Array(items) = self { items } else { &[] };
        items.iter()
    }

    fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        let members = if let Self::Object(members) = self { members } else { &EMPTY };
        members.iter().map(|(name, value)| (name.as_str(), value))
    }
}

static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
