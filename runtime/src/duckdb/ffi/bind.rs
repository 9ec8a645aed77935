//! Binding values, each with exactly the type that its parameter was prepared for: with any other
//! DuckDB plans the statement anew at each execution.

use std::ffi::CString;
use std::ptr;

use libduckdb_sys as sys;

use super::super::DuckError;
use super::{Statement, c_string};

/// A value for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Bind {
    /// `NULL` of whatever type
    Null,
    /// `BOOLEAN`
    Bool(bool),
    /// `BIGINT`
    Int(i64),
    /// `DOUBLE`
    Double(f64),
    /// `VARCHAR`
    Text(String),
    /// `DATE`: days since 1970-01-01
    Date(i32),
    /// `TIME`: microseconds since midnight
    Time(i64),
    /// `TIMESTAMP`: microseconds since the epoch
    Timestamp(i64),
    /// `TIMESTAMP WITH TIME ZONE`: microseconds since the epoch
    TimestampTz(i64),
    /// `LIST` of values of one type
    List(BindType, Vec<Bind>),
    /// `STRUCT`
    Struct(Vec<(String, Bind)>),
}

/// The type of a list's items, which an empty list has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindType {
    /// not declared
    Unknown,
    /// `BOOLEAN`
    Bool,
    /// `BIGINT`
    Int,
    /// `DOUBLE`
    Double,
    /// `VARCHAR`
    Text,
    /// `DATE`
    Date,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
    /// `TIMESTAMP WITH TIME ZONE`
    TimestampTz,
    /// `LIST`
    List(Box<BindType>),
    /// `STRUCT`
    Struct(Vec<(String, BindType)>),
}

impl Statement {
    /// Binds a value at a position, counted from one.
    ///
    /// # Errors
    /// When there is no such position.
    pub fn bind(&mut self, position: usize, value: &Bind) -> Result<(), DuckError> {
        let at = position as u64;
        let handle = self.handle;
        // SAFETY: the statement is alive in all calls below, which copy what they are given; DuckDB
        // checks the position.
        let state = unsafe {
            match value {
                Bind::Null => sys::duckdb_bind_null(handle, at),
                Bind::Bool(value) => sys::duckdb_bind_boolean(handle, at, *value),
                Bind::Int(value) => sys::duckdb_bind_int64(handle, at, *value),
                Bind::Double(value) => sys::duckdb_bind_double(handle, at, *value),
                Bind::Text(text) => sys::duckdb_bind_varchar_length(
                    handle,
                    at,
                    text.as_ptr().cast(),
                    text.len() as u64,
                ),
                Bind::Date(days) => {
                    sys::duckdb_bind_date(handle, at, sys::duckdb_date { days: *days })
                }
                Bind::Time(micros) => {
                    sys::duckdb_bind_time(handle, at, sys::duckdb_time { micros: *micros })
                }
                Bind::Timestamp(micros) => sys::duckdb_bind_timestamp(
                    handle,
                    at,
                    sys::duckdb_timestamp { micros: *micros },
                ),
                Bind::TimestampTz(micros) => sys::duckdb_bind_timestamp_tz(
                    handle,
                    at,
                    sys::duckdb_timestamp { micros: *micros },
                ),
                Bind::List(..) | Bind::Struct(_) => {
                    let value = Owned::value(value)?;
                    sys::duckdb_bind_value(handle, at, value.0)
                }
            }
        };
        if state == sys::DuckDBSuccess {
            Ok(())
        } else {
            Err(DuckError::new(
                "binder",
                format!("the parameter at position {position} cannot be bound"),
            ))
        }
    }
}

/// A value that is destroyed when it is dropped.
struct Owned(sys::duckdb_value);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the value was created and is destroyed once.
        unsafe { sys::duckdb_destroy_value(&raw mut self.0) };
    }
}

/// A logical type that is destroyed when it is dropped.
struct OwnedType(sys::duckdb_logical_type);

impl Drop for OwnedType {
    fn drop(&mut self) {
        // SAFETY: the type was created and is destroyed once.
        unsafe { sys::duckdb_destroy_logical_type(&raw mut self.0) };
    }
}

impl Owned {
    fn value(value: &Bind) -> Result<Self, DuckError> {
        // SAFETY: the constructors copy what they are given and return a value of our own.
        let made = unsafe {
            match value {
                Bind::Null => sys::duckdb_create_null_value(),
                Bind::Bool(value) => sys::duckdb_create_bool(*value),
                Bind::Int(value) => sys::duckdb_create_int64(*value),
                Bind::Double(value) => sys::duckdb_create_double(*value),
                Bind::Text(text) => {
                    sys::duckdb_create_varchar_length(text.as_ptr().cast(), text.len() as u64)
                }
                Bind::Date(days) => sys::duckdb_create_date(sys::duckdb_date { days: *days }),
                Bind::Time(micros) => sys::duckdb_create_time(sys::duckdb_time { micros: *micros }),
                Bind::Timestamp(micros) => {
                    sys::duckdb_create_timestamp(sys::duckdb_timestamp { micros: *micros })
                }
                Bind::TimestampTz(micros) => {
                    sys::duckdb_create_timestamp_tz(sys::duckdb_timestamp { micros: *micros })
                }
                Bind::List(of, items) => return Self::list(of, items),
                Bind::Struct(fields) => return Self::fields(fields),
            }
        };
        Self::checked(made)
    }

    fn checked(value: sys::duckdb_value) -> Result<Self, DuckError> {
        if value.is_null() {
            return Err(DuckError::new("conversion", "a value cannot be given to DuckDB"));
        }
        Ok(Self(value))
    }

    fn list(of: &BindType, items: &[Bind]) -> Result<Self, DuckError> {
        let ty = OwnedType::of(of)?;
        let values = items.iter().map(Self::value).collect::<Result<Vec<_>, _>>()?;
        let mut handles: Vec<sys::duckdb_value> = values.iter().map(|v| v.0).collect();
        // SAFETY: the type and as many values as said are alive; the call copies them.
        let made = unsafe {
            sys::duckdb_create_list_value(ty.0, handles.as_mut_ptr(), handles.len() as u64)
        };
        Self::checked(made)
    }

    fn fields(fields: &[(String, Bind)]) -> Result<Self, DuckError> {
        let types: Vec<(String, BindType)> =
            fields.iter().map(|(name, value)| (name.clone(), value.ty())).collect();
        let ty = OwnedType::of(&BindType::Struct(types))?;
        let values = fields.iter().map(|(_, v)| Self::value(v)).collect::<Result<Vec<_>, _>>()?;
        let mut handles: Vec<sys::duckdb_value> = values.iter().map(|v| v.0).collect();
        // SAFETY: the type has as many members as there are values, which are alive; the call copies.
        let made = unsafe { sys::duckdb_create_struct_value(ty.0, handles.as_mut_ptr()) };
        Self::checked(made)
    }
}

impl Bind {
    fn ty(&self) -> BindType {
        match self {
            Self::Null => BindType::Unknown,
            Self::Bool(_) => BindType::Bool,
            Self::Int(_) => BindType::Int,
            Self::Double(_) => BindType::Double,
            Self::Text(_) => BindType::Text,
            Self::Date(_) => BindType::Date,
            Self::Time(_) => BindType::Time,
            Self::Timestamp(_) => BindType::Timestamp,
            Self::TimestampTz(_) => BindType::TimestampTz,
            Self::List(of, _) => BindType::List(Box::new(of.clone())),
            Self::Struct(fields) => {
                BindType::Struct(fields.iter().map(|(n, v)| (n.clone(), v.ty())).collect())
            }
        }
    }
}

impl OwnedType {
    fn of(ty: &BindType) -> Result<Self, DuckError> {
        let plain = match ty {
            BindType::Unknown => sys::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL,
            BindType::Bool => sys::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
            BindType::Int => sys::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
            BindType::Double => sys::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
            BindType::Text => sys::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
            BindType::Date => sys::DUCKDB_TYPE_DUCKDB_TYPE_DATE,
            BindType::Time => sys::DUCKDB_TYPE_DUCKDB_TYPE_TIME,
            BindType::Timestamp => sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
            BindType::TimestampTz => sys::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
            BindType::List(of) => {
                let item = Self::of(of)?;
                // SAFETY: the item's type is alive; the call copies it.
                return Self::checked(unsafe { sys::duckdb_create_list_type(item.0) });
            }
            BindType::Struct(fields) => return Self::fields(fields),
        };
        // SAFETY: a plain type of a known number.
        Self::checked(unsafe { sys::duckdb_create_logical_type(plain) })
    }

    fn fields(fields: &[(String, BindType)]) -> Result<Self, DuckError> {
        let names =
            fields.iter().map(|(name, _)| c_string(name)).collect::<Result<Vec<CString>, _>>()?;
        let types = fields.iter().map(|(_, ty)| Self::of(ty)).collect::<Result<Vec<_>, _>>()?;
        let mut name_pointers: Vec<_> = names.iter().map(|n| n.as_ptr()).collect();
        let mut handles: Vec<sys::duckdb_logical_type> = types.iter().map(|t| t.0).collect();
        // SAFETY: as many names and types as said are alive; the call copies them.
        let made = unsafe {
            sys::duckdb_create_struct_type(
                handles.as_mut_ptr(),
                name_pointers.as_mut_ptr(),
                handles.len() as u64,
            )
        };
        Self::checked(made)
    }

    fn checked(ty: sys::duckdb_logical_type) -> Result<Self, DuckError> {
        if ptr::eq(ty, ptr::null_mut()) {
            return Err(DuckError::new("type mismatch", "a type cannot be given to DuckDB"));
        }
        Ok(Self(ty))
    }
}
