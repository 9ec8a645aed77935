//! The types of columns, read once per statement.

use libduckdb_sys as sys;

use super::super::DuckError;
use super::owned_text;

/// Deepest nesting of column types.
const MAX_TYPE_DEPTH: u32 = 64;

/// The type of a column or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// what values are
    pub kind: Kind,
    /// whether the text of a value is JSON
    pub is_json: bool,
}

/// What values of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are DuckDB's")]
pub enum Kind {
    Null,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    /// digits after the point, and bytes of the integer that holds it
    Decimal(u8, u8),
    Text,
    Blob,
    Bit,
    Uuid,
    Date,
    Time,
    TimeNs,
    TimeTz,
    Timestamp,
    TimestampS,
    TimestampMs,
    TimestampNs,
    TimestampTz,
    Interval,
    /// members, and bytes of the integer that selects one
    Enum(Vec<String>, u8),
    List(Box<Shape>),
    /// items, and how many
    Array(Box<Shape>, u64),
    Struct(Vec<(String, Shape)>),
    /// keys and values
    Map(Box<Shape>, Box<Shape>),
    /// the members; the first child of the vector is the tag
    Union(Vec<(String, Shape)>),
    /// a type that has no JSON form here, by its number
    Other(u32),
}

/// A logical type that is destroyed when it is dropped.
pub(super) struct Logical(pub(super) sys::duckdb_logical_type);

impl Drop for Logical {
    fn drop(&mut self) {
        // SAFETY: DuckDB gave the type to us, and it is destroyed once.
        unsafe { sys::duckdb_destroy_logical_type(&raw mut self.0) };
    }
}

impl Shape {
    pub(super) fn read(ty: &Logical) -> Result<Self, DuckError> {
        Self::at(ty, 0)
    }

    fn at(ty: &Logical, depth: u32) -> Result<Self, DuckError> {
        if depth > MAX_TYPE_DEPTH || ty.0.is_null() {
            return Err(DuckError::new("type mismatch", "a column's type is nested too deeply"));
        }
        // SAFETY: the type is alive; the alias is null or ours to free.
        let (id, alias) = unsafe {
            (sys::duckdb_get_type_id(ty.0), owned_text(sys::duckdb_logical_type_get_alias(ty.0)))
        };
        let is_json = alias.is_some_and(|alias| alias.eq_ignore_ascii_case("json"));
        Ok(Self { kind: kind(ty, id, depth)?, is_json })
    }
}

fn kind(ty: &Logical, id: u32, depth: u32) -> Result<Kind, DuckError> {
    // SAFETY (of all blocks here): the type is alive and of the kind that each call asks about;
    // types that are returned are ours to destroy, texts ours to free.
    if let Some(plain) = plain(id) {
        return Ok(plain);
    }
    Ok(match id {
        sys::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
            // SAFETY: see above.
            let (scale, holder) = unsafe {
                (sys::duckdb_decimal_scale(ty.0), sys::duckdb_decimal_internal_type(ty.0))
            };
            Kind::Decimal(scale, integer_bytes(holder)?)
        }
        sys::DUCKDB_TYPE_DUCKDB_TYPE_ENUM => {
            // SAFETY: see above.
            let (count, holder) = unsafe {
                (sys::duckdb_enum_dictionary_size(ty.0), sys::duckdb_enum_internal_type(ty.0))
            };
            let members = (0..u64::from(count)).map(|at| {
                // SAFETY: see above; the position exists.
                owned_text(unsafe { sys::duckdb_enum_dictionary_value(ty.0, at) })
                    .unwrap_or_default()
            });
            Kind::Enum(members.collect(), integer_bytes(holder)?)
        }
        sys::DUCKDB_TYPE_DUCKDB_TYPE_LIST
        | sys::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY
        | sys::DUCKDB_TYPE_DUCKDB_TYPE_MAP => sequence(ty, id, depth)?,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => {
            // SAFETY: see above.
            let count = unsafe { sys::duckdb_struct_type_child_count(ty.0) };
            Kind::Struct(members(count, depth, |at| {
                // SAFETY: see above; the position exists.
                unsafe {
                    (
                        owned_text(sys::duckdb_struct_type_child_name(ty.0, at)),
                        sys::duckdb_struct_type_child_type(ty.0, at),
                    )
                }
            })?)
        }
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UNION => {
            // SAFETY: see above.
            let count = unsafe { sys::duckdb_union_type_member_count(ty.0) };
            Kind::Union(members(count, depth, |at| {
                // SAFETY: see above; the position exists.
                unsafe {
                    (
                        owned_text(sys::duckdb_union_type_member_name(ty.0, at)),
                        sys::duckdb_union_type_member_type(ty.0, at),
                    )
                }
            })?)
        }
        other => Kind::Other(other),
    })
}

/// Lists, arrays and maps.
fn sequence(ty: &Logical, id: u32, depth: u32) -> Result<Kind, DuckError> {
    let below =
        |child: sys::duckdb_logical_type| Shape::at(&Logical(child), depth + 1).map(Box::new);
    Ok(match id {
        sys::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
            // SAFETY: the type is alive and of that kind; what is returned is ours to destroy.
            Kind::List(below(unsafe { sys::duckdb_list_type_child_type(ty.0) })?)
        }
        sys::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
            // SAFETY: the type is alive and of that kind; what is returned is ours to destroy.
            let (child, size) = unsafe {
                (sys::duckdb_array_type_child_type(ty.0), sys::duckdb_array_type_array_size(ty.0))
            };
            Kind::Array(below(child)?, size)
        }
        sys::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
            // SAFETY: the type is alive and of that kind; what is returned is ours to destroy.
            let (key, value) = unsafe {
                (sys::duckdb_map_type_key_type(ty.0), sys::duckdb_map_type_value_type(ty.0))
            };
            let key = below(key);
            Kind::Map(key?, below(value)?)
        }
        other => Kind::Other(other),
    })
}

/// The types that have no parts.
const fn plain(id: u32) -> Option<Kind> {
    Some(match id {
        sys::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL => Kind::Null,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => Kind::Bool,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => Kind::I8,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Kind::I16,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Kind::I32,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Kind::I64,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Kind::I128,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => Kind::U8,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => Kind::U16,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => Kind::U32,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => Kind::U64,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT => Kind::U128,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => Kind::F32,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => Kind::F64,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => Kind::Text,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => Kind::Blob,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_BIT => Kind::Bit,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_UUID => Kind::Uuid,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_DATE => Kind::Date,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIME => Kind::Time,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIME_NS => Kind::TimeNs,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ => Kind::TimeTz,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => Kind::Timestamp,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S => Kind::TimestampS,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS => Kind::TimestampMs,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS => Kind::TimestampNs,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => Kind::TimestampTz,
        sys::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL => Kind::Interval,
        _ => return None,
    })
}

fn members(
    count: u64,
    depth: u32,
    member: impl Fn(u64) -> (Option<String>, sys::duckdb_logical_type),
) -> Result<Vec<(String, Shape)>, DuckError> {
    (0..count)
        .map(|at| {
            let (name, ty) = member(at);
            Ok((name.unwrap_or_default(), Shape::at(&Logical(ty), depth + 1)?))
        })
        .collect()
}

fn integer_bytes(holder: u32) -> Result<u8, DuckError> {
    match holder {
        sys::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT | sys::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => Ok(1),
        sys::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT | sys::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => Ok(2),
        sys::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER | sys::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => Ok(4),
        sys::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Ok(8),
        sys::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Ok(16),
        _ => Err(DuckError::new("type mismatch", "a column is held in an unknown integer")),
    }
}
