//! The types of CEL expressions, as the checker infers them and the function registry declares
//! them (CEL specification, "Type checking").

use std::fmt;
use std::sync::Arc;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Ty {
    /// Known only at run time; compatible with everything.
    Dyn,
    /// The type of an expression that was already reported; silent, compatible with everything.
    Error,
    /// `null`
    Null,
    /// `bool`
    Bool,
    /// `int`, 64 bits
    Int,
    /// `uint`, 64 bits
    Uint,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`
    Duration,
    /// A type as a value, as `type(x)` gives it.
    Type(Box<Ty>),
    /// `list(T)`
    List(Box<Ty>),
    /// `map(K, V)`
    Map(Box<Ty>, Box<Ty>),
    /// `optional_type(T)`
    Optional(Box<Ty>),
    /// A value of the type or null; never nested in itself.
    Nullable(Box<Ty>),
    /// A map with declared fields: `user`, `request`, a declared object.
    Record(Arc<Record>),
    /// A type parameter of a function's signature, or a type that is not known yet, by number.
    Var(u32),
    /// A type that only its name and parameters tell apart (an abstract type of the specification).
    Opaque(Arc<str>, Vec<Self>),
}

/// A map whose fields are declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What diagnostics call it: `user`, `response.address`.
    pub name: String,
    /// The declared fields in their order.
    pub fields: Vec<Field>,
    /// Whether other fields may be there too (they are `dyn`).
    pub open: bool,
}

/// A declared field of a [`Record`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Whether every value has it; one that may lack it is selected after `has()`.
    pub required: bool,
}

impl Ty {
    /// `list(T)`
    pub fn list(item: Self) -> Self {
        Self::List(Box::new(item))
    }

    /// `map(K, V)`
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    /// `optional_type(T)`
    pub fn optional(of: Self) -> Self {
        Self::Optional(Box::new(of))
    }

    /// The type or null; types that hold null already stay what they are.
    #[must_use]
    pub fn nullable(self) -> Self {
        match self {
            Self::Dyn | Self::Error | Self::Null | Self::Nullable(_) => self,
            other => Self::Nullable(Box::new(other)),
        }
    }

    /// The type without null.
    #[must_use]
    pub fn required(self) -> Self {
        match self {
            Self::Nullable(inner) => *inner,
            other => other,
        }
    }

    /// Whether nothing is known of it before run time.
    pub const fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn | Self::Error)
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn | Self::Error => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Type(of) => write!(f, "type({of})"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(of) => write!(f, "optional({of})"),
            Self::Nullable(of) => write!(f, "{of}?"),
            Self::Record(record) => f.write_str(&record.name),
            Self::Var(n) => write!(f, "{}", parameter(*n)),
            Self::Opaque(name, of) => {
                f.write_str(name)?;
                for (i, ty) in of.iter().enumerate() {
                    write!(f, "{}{ty}", if i == 0 { "(" } else { ", " })?;
                }
                f.write_str(if of.is_empty() { "" } else { ")" })
            }
        }
    }
}

/// How a type parameter is written: `T`, `U`, `V`, then with its number.
fn parameter(n: u32) -> String {
    match n {
        0 => "T".to_owned(),
        1 => "U".to_owned(),
        2 => "V".to_owned(),
        n => format!("T{n}"),
    }
}

/// A type as the function registry writes it: a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sig {
    /// see [`Ty::Dyn`]
    Dyn,
    /// see [`Ty::Null`]
    Null,
    /// see [`Ty::Bool`]
    Bool,
    /// see [`Ty::Int`]
    Int,
    /// see [`Ty::Uint`]
    Uint,
    /// see [`Ty::Double`]
    Double,
    /// see [`Ty::String`]
    String,
    /// see [`Ty::Bytes`]
    Bytes,
    /// see [`Ty::Timestamp`]
    Timestamp,
    /// see [`Ty::Duration`]
    Duration,
    /// see [`Ty::Type`]
    Type(&'static Sig),
    /// see [`Ty::List`]
    List(&'static Sig),
    /// see [`Ty::Map`]
    Map(&'static Sig, &'static Sig),
    /// see [`Ty::Optional`]
    Optional(&'static Sig),
    /// see [`Ty::Var`]
    Var(u32),
}

impl Sig {
    /// The signature's type.
    pub fn ty(self) -> Ty {
        self.from_parameter(0)
    }

    /// How many type parameters it has at most: one more than the greatest number.
    pub const fn parameters(self) -> u32 {
        match self {
            Self::Var(n) => n.saturating_add(1),
            Self::Type(of) | Self::List(of) | Self::Optional(of) => of.parameters(),
            Self::Map(key, value) => {
                let (key, value) = (key.parameters(), value.parameters());
                if key > value { key } else { value }
            }
            _ => 0,
        }
    }

    /// The signature's type, its parameters numbered from `first`.
    pub fn from_parameter(self, first: u32) -> Ty {
        match self {
            Self::Dyn => Ty::Dyn,
            Self::Null => Ty::Null,
            Self::Bool => Ty::Bool,
            Self::Int => Ty::Int,
            Self::Uint => Ty::Uint,
            Self::Double => Ty::Double,
            Self::String => Ty::String,
            Self::Bytes => Ty::Bytes,
            Self::Timestamp => Ty::Timestamp,
            Self::Duration => Ty::Duration,
            Self::Type(of) => Ty::Type(Box::new(of.from_parameter(first))),
            Self::List(item) => Ty::list(item.from_parameter(first)),
            Self::Map(key, value) => {
                Ty::map(key.from_parameter(first), value.from_parameter(first))
            }
            Self::Optional(of) => Ty::optional(of.from_parameter(first)),
            Self::Var(n) => Ty::Var(first.saturating_add(n)),
        }
    }
}
