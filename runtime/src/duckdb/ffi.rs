//! DuckDB's C interface behind types that cannot be misused.
//!
//! One of the modules of the runtime that hold `unsafe`. Handles are owned: each is closed once,
//! after everything that was made from it, which the types hold alive.
#![expect(unsafe_code, reason = "calls a C library; every block says why it is sound")]

mod bind;
mod function;
mod result;
mod shape;

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Arc;

use libduckdb_sys as sys;

use super::DuckError;
use super::asked::{Board, Place};

pub use bind::{Bind, BindType};
pub use result::{Cell, Chunk, List, Rows};
pub use shape::{Kind, Shape};

/// An open database; it closes when its last connection is gone.
#[derive(Debug, Clone)]
pub struct Database(Arc<DatabaseHandle>, Arc<Board>);

#[derive(Debug)]
struct DatabaseHandle(sys::duckdb_database);

// SAFETY: DuckDB's database handle may be used from several threads at once; `duckdb_connect` locks.
unsafe impl Send for DatabaseHandle {}
// SAFETY: as above; no method of ours changes the handle itself.
unsafe impl Sync for DatabaseHandle {}

impl Drop for DatabaseHandle {
    fn drop(&mut self) {
        // SAFETY: the handle was opened, and is closed only here, when no connection is left.
        unsafe { sys::duckdb_close(&raw mut self.0) };
    }
}

impl Database {
    pub(super) fn open(path: Option<&str>, options: &[(&str, String)]) -> Result<Self, DuckError> {
        let path = path.map(c_string).transpose()?;
        let mut config: sys::duckdb_config = ptr::null_mut();
        // SAFETY: `config` is a place for a handle, which the call fills.
        if unsafe { sys::duckdb_create_config(&raw mut config) } != sys::DuckDBSuccess {
            return Err(DuckError::new("memory", "DuckDB has no memory for its configuration"));
        }
        let mut result = Ok(());
        for (name, value) in options {
            let (name_c, value_c) = (c_string(name)?, c_string(value)?);
            // SAFETY: the configuration is alive and both texts end with a zero byte.
            let state =
                unsafe { sys::duckdb_set_config(config, name_c.as_ptr(), value_c.as_ptr()) };
            if state != sys::DuckDBSuccess {
                let message = format!("DuckDB does not take `{value}` for its setting `{name}`");
                result = Err(DuckError::new("settings", message));
            }
        }
        let mut handle: sys::duckdb_database = ptr::null_mut();
        let mut error: *mut c_char = ptr::null_mut();
        if result.is_ok() {
            let path_ptr = path.as_ref().map_or(ptr::null(), |p| p.as_ptr());
            // SAFETY: all pointers are to places that live through the call; a null path is memory.
            let state =
                unsafe { sys::duckdb_open_ext(path_ptr, &raw mut handle, config, &raw mut error) };
            if state != sys::DuckDBSuccess {
                let message = owned_text(error);
                result = Err(DuckError::new("open", message.unwrap_or_default()));
            }
        }
        // SAFETY: the configuration was created above and is destroyed once.
        unsafe { sys::duckdb_destroy_config(&raw mut config) };
        result?;
        let database = Self(Arc::new(DatabaseHandle(handle)), Arc::default());
        database.connect()?.register_functions(&database.1)?;
        Ok(database)
    }

    /// For whom a connection works.
    pub(super) fn place(&self, connection: &Connection) -> Arc<Place> {
        self.1.place(connection.id())
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// When DuckDB has no memory for it.
    pub fn connect(&self) -> Result<Connection, DuckError> {
        let mut handle: sys::duckdb_connection = ptr::null_mut();
        // SAFETY: the database is open, and `handle` is a place for the connection.
        let state = unsafe { sys::duckdb_connect((self.0).0, &raw mut handle) };
        if state != sys::DuckDBSuccess {
            return Err(DuckError::new("memory", "DuckDB cannot open another connection"));
        }
        let handle = Arc::new(ConnectionHandle { handle, _database: self.clone() });
        Ok(Connection(handle))
    }
}

/// A connection: one statement at a time, on one thread at a time.
#[derive(Debug)]
pub struct Connection(Arc<ConnectionHandle>);

#[derive(Debug)]
struct ConnectionHandle {
    handle: sys::duckdb_connection,
    _database: Database,
}

// SAFETY: a connection may move between threads; only `duckdb_interrupt` is called from others, and
// that is what it is for.
unsafe impl Send for ConnectionHandle {}
// SAFETY: through a shared reference only `duckdb_interrupt` is called, which sets a flag.
unsafe impl Sync for ConnectionHandle {}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        // SAFETY: the connection was opened, and is closed only here, when statements and interrupts
        // that hold it are gone.
        unsafe { sys::duckdb_disconnect(&raw mut self.handle) };
    }
}

/// Interrupts what a connection does, from any thread.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<ConnectionHandle>);

impl Interrupt {
    /// Asks the running statement to stop.
    pub fn interrupt(&self) {
        // SAFETY: the connection is alive, and this call may come from any thread.
        unsafe { sys::duckdb_interrupt(self.0.handle) };
    }
}

impl Connection {
    /// What interrupts this connection.
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.0))
    }

    /// Runs statements whose results do not matter.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn run(&self, sql: &str) -> Result<(), DuckError> {
        let sql = c_string(sql)?;
        let mut result = empty_result();
        // SAFETY: the connection is alive, the text ends with a zero byte, and the result is
        // destroyed below whatever the call returns.
        let state = unsafe { sys::duckdb_query(self.0.handle, sql.as_ptr(), &raw mut result) };
        let outcome =
            if state == sys::DuckDBSuccess { Ok(()) } else { Err(result_error(&mut result)) };
        // SAFETY: the result was initialised by the call.
        unsafe { sys::duckdb_destroy_result(&raw mut result) };
        outcome
    }

    /// Prepares a text that is exactly one statement.
    ///
    /// # Errors
    /// When it is none or several, or DuckDB cannot prepare it.
    pub fn prepare(&self, sql: &str) -> Result<Statement, DuckError> {
        let text = c_string(sql)?;
        let mut extracted: sys::duckdb_extracted_statements = ptr::null_mut();
        // SAFETY: the connection is alive and the text ends with a zero byte; what was extracted is
        // destroyed below.
        let count = unsafe {
            sys::duckdb_extract_statements(self.0.handle, text.as_ptr(), &raw mut extracted)
        };
        let outcome = match count {
            1 => self.prepare_extracted(extracted),
            0 => {
                // SAFETY: what was extracted is alive and owns the message.
                let message =
                    unsafe { borrowed_text(sys::duckdb_extract_statements_error(extracted)) };
                Err(DuckError::new(
                    "parser",
                    message.unwrap_or_else(|| "there is no statement".to_owned()),
                ))
            }
            _ => Err(DuckError::new("parser", "there are several statements")),
        };
        // SAFETY: it was made above and is destroyed once.
        unsafe { sys::duckdb_destroy_extracted(&raw mut extracted) };
        outcome
    }

    fn prepare_extracted(
        &self,
        extracted: sys::duckdb_extracted_statements,
    ) -> Result<Statement, DuckError> {
        let mut handle: sys::duckdb_prepared_statement = ptr::null_mut();
        // SAFETY: connection and statements are alive; the handle is owned by `Statement` from here
        // on, also when preparing failed.
        let state = unsafe {
            sys::duckdb_prepare_extracted_statement(self.0.handle, extracted, 0, &raw mut handle)
        };
        let statement = Statement { handle, connection: Arc::clone(&self.0) };
        if state == sys::DuckDBSuccess {
            return Ok(statement);
        }
        // SAFETY: the statement is alive and owns the message.
        let message = unsafe { borrowed_text(sys::duckdb_prepare_error(statement.handle)) };
        let message = message.unwrap_or_default();
        Err(DuckError::new(class_of_text(&message), message))
    }
}

/// A prepared statement.
#[derive(Debug)]
pub struct Statement {
    handle: sys::duckdb_prepared_statement,
    connection: Arc<ConnectionHandle>,
}

// SAFETY: like its connection it may move between threads, and it cannot be shared.
unsafe impl Send for Statement {}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: the statement is alive and destroyed only here.
        unsafe { sys::duckdb_destroy_prepare(&raw mut self.handle) };
    }
}

impl Statement {
    /// The names of its parameters, without `$`, in the order of their positions.
    pub fn parameters(&self) -> Vec<String> {
        // SAFETY: the statement is alive.
        let count = unsafe { sys::duckdb_nparams(self.handle) };
        (1..=count)
            .map(|index| {
                // SAFETY: the statement is alive and the position exists; the text is ours to free.
                let name = unsafe { sys::duckdb_parameter_name(self.handle, index) };
                owned_text(name.cast_mut()).unwrap_or_default()
            })
            .collect()
    }

    /// Whether it can only read, as DuckDB classifies it. (`EXPLAIN` may not: with `ANALYZE` it runs
    /// what it explains.)
    pub fn is_read_only(&self) -> bool {
        self.kind() == sys::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT
    }

    /// Whether nothing but rows of tables can be otherwise on its connection afterwards: no
    /// temporary object, no variable, no transaction.
    pub fn leaves_nothing(&self) -> bool {
        matches!(
            self.kind(),
            sys::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT
                | sys::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
                | sys::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
                | sys::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
        )
    }

    fn kind(&self) -> sys::duckdb_statement_type {
        // SAFETY: the statement is alive.
        unsafe { sys::duckdb_prepared_statement_type(self.handle) }
    }

    /// Runs it with the values that were bound.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn execute(&mut self) -> Result<Rows<'_>, DuckError> {
        let mut result = empty_result();
        // SAFETY: the statement is alive; the result is owned by `Rows`, or destroyed here.
        let state = unsafe { sys::duckdb_execute_prepared(self.handle, &raw mut result) };
        if state == sys::DuckDBSuccess {
            return Rows::new(result);
        }
        let error = result_error(&mut result);
        // SAFETY: the call initialised the result; it is destroyed once.
        unsafe { sys::duckdb_destroy_result(&raw mut result) };
        Err(error)
    }

    /// What interrupts it.
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.connection))
    }
}

fn empty_result() -> sys::duckdb_result {
    // SAFETY: the struct is plain data of integers and pointers, for which zeros are valid.
    unsafe { std::mem::zeroed() }
}

fn result_error(result: &mut sys::duckdb_result) -> DuckError {
    // SAFETY: the result was initialised by a query; it owns the message.
    let (kind, message) = unsafe {
        (sys::duckdb_result_error_type(result), borrowed_text(sys::duckdb_result_error(result)))
    };
    DuckError::new(class_of(kind), message.unwrap_or_default())
}

/// The class of an error, as it may be recorded.
fn class_of(kind: sys::duckdb_error_type) -> &'static str {
    match kind {
        sys::duckdb_error_type_DUCKDB_ERROR_OUT_OF_RANGE => "out of range",
        sys::duckdb_error_type_DUCKDB_ERROR_CONVERSION => "conversion",
        sys::duckdb_error_type_DUCKDB_ERROR_MISMATCH_TYPE => "type mismatch",
        sys::duckdb_error_type_DUCKDB_ERROR_DIVIDE_BY_ZERO => "division by zero",
        sys::duckdb_error_type_DUCKDB_ERROR_CATALOG => "catalog",
        sys::duckdb_error_type_DUCKDB_ERROR_PARSER => "parser",
        sys::duckdb_error_type_DUCKDB_ERROR_BINDER => "binder",
        sys::duckdb_error_type_DUCKDB_ERROR_CONSTRAINT => "constraint",
        sys::duckdb_error_type_DUCKDB_ERROR_IO => "io",
        sys::duckdb_error_type_DUCKDB_ERROR_INTERRUPT => "interrupt",
        sys::duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY => "out of memory",
        sys::duckdb_error_type_DUCKDB_ERROR_PERMISSION => "permission",
        sys::duckdb_error_type_DUCKDB_ERROR_TRANSACTION => "transaction",
        sys::duckdb_error_type_DUCKDB_ERROR_INVALID_INPUT => "invalid input",
        sys::duckdb_error_type_DUCKDB_ERROR_NOT_IMPLEMENTED => "not supported",
        _ => "sql",
    }
}

/// The class of an error of preparing, of which DuckDB gives the message alone.
fn class_of_text(message: &str) -> &'static str {
    match message.split(" Error").next().unwrap_or("") {
        "Parser" => "parser",
        "Binder" => "binder",
        "Catalog" => "catalog",
        "Permission" => "permission",
        "Conversion" => "conversion",
        _ => "sql",
    }
}

fn c_string(text: &str) -> Result<CString, DuckError> {
    CString::new(text).map_err(|_| DuckError::new("invalid input", "a text holds a zero byte"))
}

/// Copies a text that DuckDB allocated for us, and frees it.
fn owned_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: it is not null, ends with a zero byte, and is ours to free, once.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        sys::duckdb_free(text.cast());
        Some(copy)
    }
}

/// Copies a text that something else owns.
///
/// # Safety
/// The text is null or ends with a zero byte, and lives through the call.
unsafe fn borrowed_text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
