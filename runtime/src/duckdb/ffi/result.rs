//! Results: chunks of vectors, read cell by cell without copying.

use std::ffi::c_void;
use std::marker::PhantomData;

use libduckdb_sys as sys;

use super::super::DuckError;
use super::borrowed_text;
use super::shape::{Kind, Logical, Shape};

/// The rows of an executed statement.
#[derive(Debug)]
pub struct Rows<'s> {
    result: sys::duckdb_result,
    names: Vec<String>,
    shapes: Vec<Shape>,
    _statement: PhantomData<&'s mut ()>,
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // SAFETY: the result was initialised and is destroyed once.
        unsafe { sys::duckdb_destroy_result(&raw mut self.result) };
    }
}

impl Rows<'_> {
    pub(super) fn new(result: sys::duckdb_result) -> Result<Self, DuckError> {
        let mut rows =
            Self { result, names: Vec::new(), shapes: Vec::new(), _statement: PhantomData };
        // SAFETY: the result is initialised.
        let count = unsafe { sys::duckdb_column_count(&raw mut rows.result) };
        for column in 0..count {
            // SAFETY: the column exists; the result owns its name, the type is ours to destroy.
            let (name, ty) = unsafe {
                (
                    borrowed_text(sys::duckdb_column_name(&raw mut rows.result, column)),
                    Logical(sys::duckdb_column_logical_type(&raw mut rows.result, column)),
                )
            };
            rows.names.push(name.unwrap_or_default());
            rows.shapes.push(Shape::read(&ty)?);
        }
        Ok(rows)
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The types of the columns.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The names and types of the columns, given away.
    pub fn take_columns(&mut self) -> (Vec<String>, Vec<Shape>) {
        (std::mem::take(&mut self.names), std::mem::take(&mut self.shapes))
    }

    /// The next chunk of rows.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        // SAFETY: the result is initialised; the chunk is ours to destroy.
        let handle = unsafe { sys::duckdb_fetch_chunk(self.result) };
        (!handle.is_null()).then(|| Chunk::new(handle))
    }
}

/// Some rows. Where their vectors are is asked once: a result is read cell by cell, twice.
#[derive(Debug)]
pub struct Chunk {
    handle: sys::duckdb_data_chunk,
    rows: usize,
    columns: Box<[Raw]>,
}

/// Where a vector is, what it holds, and which of that is null.
#[derive(Debug, Clone, Copy)]
struct Raw {
    handle: sys::duckdb_vector,
    data: *const c_void,
    /// null when no value is
    validity: *const u64,
}

impl Raw {
    /// # Safety
    /// The vector is alive, and not changed as long as what is returned is used.
    unsafe fn of(handle: sys::duckdb_vector) -> Self {
        // SAFETY: the caller's promise.
        let (data, validity) = unsafe {
            (sys::duckdb_vector_get_data(handle), sys::duckdb_vector_get_validity(handle))
        };
        Self { handle, data: data.cast_const(), validity: validity.cast_const() }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: the chunk was fetched and is destroyed once.
        unsafe { sys::duckdb_destroy_data_chunk(&raw mut self.handle) };
    }
}

impl Chunk {
    fn new(handle: sys::duckdb_data_chunk) -> Self {
        // SAFETY: the chunk is alive, and nobody else has it.
        let (rows, columns) = unsafe {
            (
                sys::duckdb_data_chunk_get_size(handle),
                sys::duckdb_data_chunk_get_column_count(handle),
            )
        };
        let column = |at| {
            // SAFETY: the column exists, and its vector lives as long as the chunk, which nothing
            // changes.
            unsafe { Raw::of(sys::duckdb_data_chunk_get_vector(handle, at)) }
        };
        let columns = (0..columns).map(column).collect();
        Self { handle, rows: usize::try_from(rows).unwrap_or(0), columns }
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The value of a column in a row. `shape` is that of the column.
    pub fn cell<'c>(&'c self, column: usize, shape: &'c Shape, row: usize) -> Cell<'c> {
        match self.columns.get(column) {
            Some(raw) if row < self.rows => {
                Vector { raw: *raw, shape, _chunk: PhantomData }.cell(row)
            }
            _ => Cell::Null,
        }
    }
}

/// A column, or a part of one.
#[derive(Debug, Clone, Copy)]
struct Vector<'c> {
    raw: Raw,
    shape: &'c Shape,
    _chunk: PhantomData<&'c Chunk>,
}

/// A value of a result, borrowed from its chunk.
#[derive(Debug, Clone)]
pub enum Cell<'c> {
    /// `NULL`
    Null,
    /// `BOOLEAN`
    Bool(bool),
    /// signed integers of all widths
    Int(i128),
    /// `UHUGEINT`, and unsigned integers
    Uint(u128),
    /// `FLOAT`
    F32(f32),
    /// `DOUBLE`
    F64(f64),
    /// unscaled value and digits after the point
    Decimal(i128, u8),
    /// text, and whether it is JSON
    Text(&'c str, bool),
    /// octets
    Blob(&'c [u8]),
    /// bits as text
    Bit(String),
    /// 128 bits in their usual order
    Uuid(u128),
    /// days since 1970-01-01
    Date(i32),
    /// nanoseconds since midnight
    Time(i64),
    /// microseconds since midnight, and seconds east of UTC
    TimeTz(i64, i32),
    /// nanoseconds since the epoch, and whether it has a time zone
    Timestamp(i128, bool),
    /// months, days, microseconds
    Interval(i32, i32, i64),
    /// a list or array
    List(List<'c>),
    /// fields in order
    Struct(Vec<(&'c str, Cell<'c>)>),
    /// entries in order
    Map(Vec<(Cell<'c>, Cell<'c>)>),
    /// something without a JSON form here
    Unsupported,
}

/// The items of a list.
#[derive(Debug, Clone)]
pub struct List<'c> {
    child: Vector<'c>,
    offset: usize,
    length: usize,
}

impl<'c> List<'c> {
    /// Number of items.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = Cell<'c>> + '_ {
        (self.offset..self.offset.saturating_add(self.length)).map(|row| self.child.cell(row))
    }
}

/// Where times that have no end are put.
const INFINITE: i64 = i64::MAX;

impl<'c> Vector<'c> {
    /// The value at a row, which the caller knows to exist.
    fn cell(self, row: usize) -> Cell<'c> {
        if !self.is_valid(row) {
            return Cell::Null;
        }
        match &self.shape.kind {
            Kind::Null => Cell::Null,
            Kind::Bool => Cell::Bool(self.get::<u8>(row) != 0),
            Kind::I8 => Cell::Int(self.get::<i8>(row).into()),
            Kind::I16 => Cell::Int(self.get::<i16>(row).into()),
            Kind::I32 => Cell::Int(self.get::<i32>(row).into()),
            Kind::I64 => Cell::Int(self.get::<i64>(row).into()),
            Kind::I128 => Cell::Int(self.get::<i128>(row)),
            Kind::U8 => Cell::Uint(self.get::<u8>(row).into()),
            Kind::U16 => Cell::Uint(self.get::<u16>(row).into()),
            Kind::U32 => Cell::Uint(self.get::<u32>(row).into()),
            Kind::U64 => Cell::Uint(self.get::<u64>(row).into()),
            Kind::U128 => Cell::Uint(self.get::<u128>(row)),
            Kind::F32 => Cell::F32(self.get::<f32>(row)),
            Kind::F64 => Cell::F64(self.get::<f64>(row)),
            Kind::Decimal(scale, bytes) => Cell::Decimal(self.signed(row, *bytes), *scale),
            Kind::Text => self.text(row),
            Kind::Blob => Cell::Blob(self.octets(row)),
            Kind::Bit => Cell::Bit(bits(self.octets(row))),
            // DuckDB keeps the highest bit turned around, so that values sort.
            Kind::Uuid => Cell::Uuid(self.get::<u128>(row) ^ (1 << 127)),
            Kind::Date => match self.get::<i32>(row) {
                i32::MAX => Cell::Text("infinity", false),
                days if days == -i32::MAX => Cell::Text("-infinity", false),
                days => Cell::Date(days),
            },
            Kind::Time => Cell::Time(self.get::<i64>(row).saturating_mul(1_000)),
            Kind::TimeNs => Cell::Time(self.get::<i64>(row)),
            Kind::TimeTz => {
                let bits = self.get::<u64>(row);
                let offset = 57_599 - i32::try_from(bits & 0x00ff_ffff).unwrap_or(0);
                Cell::TimeTz(i64::try_from(bits >> 24).unwrap_or(0), offset)
            }
            Kind::Timestamp => self.instant(row, 1_000, false),
            Kind::TimestampTz => self.instant(row, 1_000, true),
            Kind::TimestampS => self.instant(row, 1_000_000_000, false),
            Kind::TimestampMs => self.instant(row, 1_000_000, false),
            Kind::TimestampNs => self.instant(row, 1, false),
            Kind::Interval => {
                let interval = self.get::<sys::duckdb_interval>(row);
                Cell::Interval(interval.months, interval.days, interval.micros)
            }
            Kind::Enum(members, bytes) => {
                let at = usize::try_from(self.unsigned(row, *bytes)).unwrap_or(usize::MAX);
                members.get(at).map_or(Cell::Null, |member| Cell::Text(member, false))
            }
            Kind::List(item) => Cell::List(self.list(row, item)),
            Kind::Array(item, size) => self.array(row, item, *size),
            Kind::Struct(fields) => Cell::Struct(
                fields
                    .iter()
                    .enumerate()
                    .map(|(at, (name, shape))| (name.as_str(), self.child(at, shape).cell(row)))
                    .collect(),
            ),
            Kind::Map(key, value) => self.map(row, key, value),
            Kind::Union(members) => self.union(row, members),
            Kind::Other(_) => Cell::Unsupported,
        }
    }

    fn is_valid(self, row: usize) -> bool {
        let mask = self.raw.validity;
        // SAFETY: the vector is alive; the mask is null, or has a bit for every row of the vector,
        // and the row exists.
        unsafe { mask.is_null() || (*mask.add(row / 64) >> (row % 64)) & 1 == 1 }
    }

    /// The plain value at a row. Only for types whose every bit pattern is a value.
    fn get<T: Plain>(self, row: usize) -> T {
        // SAFETY: the vector is alive and holds values of the size of `T` (its shape says so), the
        // row exists, and every bit pattern is a `T`. The read makes no claim about alignment.
        unsafe { self.raw.data.cast::<T>().add(row).read_unaligned() }
    }

    /// A vector that is a part of this one, and lives as long.
    ///
    /// # Safety
    /// `handle` is such a vector, of that shape.
    unsafe fn part(self, handle: sys::duckdb_vector, shape: &'c Shape) -> Self {
        // SAFETY: it lives as long as the chunk, which nothing changes.
        Self { raw: unsafe { Raw::of(handle) }, shape, _chunk: PhantomData }
    }

    fn signed(self, row: usize, bytes: u8) -> i128 {
        match bytes {
            1 => self.get::<i8>(row).into(),
            2 => self.get::<i16>(row).into(),
            4 => self.get::<i32>(row).into(),
            8 => self.get::<i64>(row).into(),
            _ => self.get::<i128>(row),
        }
    }

    fn unsigned(self, row: usize, bytes: u8) -> u64 {
        match bytes {
            1 => self.get::<u8>(row).into(),
            2 => self.get::<u16>(row).into(),
            _ => self.get::<u32>(row).into(),
        }
    }

    fn instant(self, row: usize, nanos_per_unit: i128, zoned: bool) -> Cell<'c> {
        match self.get::<i64>(row) {
            INFINITE => Cell::Text("infinity", false),
            value if value == -INFINITE => Cell::Text("-infinity", false),
            value => Cell::Timestamp(i128::from(value) * nanos_per_unit, zoned),
        }
    }

    fn octets(self, row: usize) -> &'c [u8] {
        // SAFETY: the vector holds `duckdb_string_t` values and the row exists; such a value holds up
        // to twelve bytes inline, or a pointer to as many bytes as it says, which live as long as the
        // chunk. Bytes inside the vector live as long.
        unsafe {
            let string = &*self.raw.data.cast::<sys::duckdb_string_t>().add(row);
            let length = string.value.inlined.length;
            let start = if length <= 12 {
                string.value.inlined.inlined.as_ptr().cast::<u8>()
            } else {
                string.value.pointer.ptr.cast::<u8>().cast_const()
            };
            std::slice::from_raw_parts(start, length as usize)
        }
    }

    fn text(self, row: usize) -> Cell<'c> {
        // DuckDB's texts are UTF-8; one that is not has no JSON form.
        std::str::from_utf8(self.octets(row))
            .map_or(Cell::Unsupported, |text| Cell::Text(text, self.shape.is_json))
    }

    fn child(self, at: usize, shape: &'c Shape) -> Self {
        // SAFETY: the vector is a struct's (or a union's), and its type has that many children.
        unsafe { self.part(sys::duckdb_struct_vector_get_child(self.raw.handle, at as u64), shape) }
    }

    fn list(self, row: usize, item: &'c Shape) -> List<'c> {
        let entry = self.get::<sys::duckdb_list_entry>(row);
        // SAFETY: the vector is a list's; its child lives as long.
        let (child, size) = unsafe {
            (
                self.part(sys::duckdb_list_vector_get_child(self.raw.handle), item),
                sys::duckdb_list_vector_get_size(self.raw.handle),
            )
        };
        let end = entry.offset.saturating_add(entry.length).min(size);
        let narrow = |n: u64| usize::try_from(n).unwrap_or(0);
        List {
            child,
            offset: narrow(entry.offset),
            length: narrow(end.saturating_sub(entry.offset)),
        }
    }

    fn array(self, row: usize, item: &'c Shape, size: u64) -> Cell<'c> {
        // SAFETY: the vector is an array's; its child has `size` values for each row.
        let child = unsafe { self.part(sys::duckdb_array_vector_get_child(self.raw.handle), item) };
        let size = usize::try_from(size).unwrap_or(0);
        Cell::List(List { child, offset: row * size, length: size })
    }

    fn map(self, row: usize, key: &'c Shape, value: &'c Shape) -> Cell<'c> {
        // A map is a list of structs of a key and a value.
        let entries = self.list(row, key);
        let rows = entries.offset..entries.offset + entries.length;
        let (keys, values) = (entries.child.child(0, key), entries.child.child(1, value));
        Cell::Map(rows.map(|row| (keys.cell(row), values.cell(row))).collect())
    }

    fn union(self, row: usize, members: &'c [(String, Shape)]) -> Cell<'c> {
        static TAG: Shape = Shape { kind: Kind::U8, is_json: false };
        let tag = usize::from(self.child(0, &TAG).get::<u8>(row));
        members.get(tag).map_or(Cell::Null, |(_, shape)| self.child(tag + 1, shape).cell(row))
    }
}

/// Types of which every bit pattern is a value.
trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for i16 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for u128 {}
impl Plain for i128 {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for sys::duckdb_interval {}
impl Plain for sys::duckdb_list_entry {}

/// The first byte of a bit string says how many bits of the second are padding.
fn bits(octets: &[u8]) -> String {
    let Some((padding, bytes)) = octets.split_first() else { return String::new() };
    let all: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    all.get(usize::from(*padding)..).unwrap_or("").to_owned()
}
