//! Scalar functions of ours, which ask who calls (see [`super::super::asked`]).

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use libduckdb_sys as sys;

use super::super::DuckError;
use super::super::asked::{Board, FUNCTIONS, Place, Question};
use super::{Connection, ConnectionHandle, c_string};

/// What a function is registered with.
struct Function {
    board: Arc<Board>,
    question: Question,
}

/// What a function is bound with, once per statement: the place of the statement's connection.
#[derive(Clone)]
struct Bound {
    place: Arc<Place>,
    question: Question,
}

impl Connection {
    /// Registers the functions for all connections of the database.
    pub(in super::super) fn register_functions(&self, board: &Arc<Board>) -> Result<(), DuckError> {
        for (name, question, takes_name) in FUNCTIONS {
            let function = Function { board: Arc::clone(board), question: *question };
            register(&self.0, name, function, *takes_name)?;
        }
        Ok(())
    }

    /// The number of this connection within its database.
    pub(in super::super) fn id(&self) -> u64 {
        let mut context: sys::duckdb_client_context = ptr::null_mut();
        // SAFETY: the connection is alive; the context is destroyed below.
        unsafe { sys::duckdb_connection_get_client_context(self.0.handle, &raw mut context) };
        id_of(context)
    }
}

/// Reads and destroys a context.
fn id_of(mut context: sys::duckdb_client_context) -> u64 {
    // SAFETY: the context was made for the caller, is read once and destroyed once.
    unsafe {
        let id = sys::duckdb_client_context_get_connection_id(context);
        sys::duckdb_destroy_client_context(&raw mut context);
        id
    }
}

fn register(
    connection: &ConnectionHandle,
    name: &str,
    function: Function,
    takes_name: bool,
) -> Result<(), DuckError> {
    let name_c = c_string(name)?;
    // SAFETY: everything is made here, alive until it is destroyed at the end, and destroyed once;
    // DuckDB copies what it keeps, and frees the extra information with `drop_box`.
    let state = unsafe {
        let mut made = sys::duckdb_create_scalar_function();
        let mut text = sys::duckdb_create_logical_type(sys::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR);
        sys::duckdb_scalar_function_set_name(made, name_c.as_ptr());
        if takes_name {
            sys::duckdb_scalar_function_add_parameter(made, text);
        }
        sys::duckdb_scalar_function_set_return_type(made, text);
        sys::duckdb_scalar_function_set_volatile(made);
        sys::duckdb_scalar_function_set_special_handling(made);
        let extra = Box::into_raw(Box::new(function));
        sys::duckdb_scalar_function_set_extra_info(made, extra.cast(), Some(drop_box::<Function>));
        sys::duckdb_scalar_function_set_bind(made, Some(bind));
        sys::duckdb_scalar_function_set_function(made, Some(answer));
        let state = sys::duckdb_register_scalar_function(connection.handle, made);
        sys::duckdb_destroy_logical_type(&raw mut text);
        sys::duckdb_destroy_scalar_function(&raw mut made);
        state
    };
    if state == sys::DuckDBSuccess {
        return Ok(());
    }
    Err(DuckError::new("catalog", format!("the function `{name}` cannot be registered")))
}

/// Finds the place of the connection that a statement is prepared on.
///
/// # Safety
/// DuckDB calls it with the information of one of our functions.
unsafe extern "C" fn bind(info: sys::duckdb_bind_info) {
    let mut context: sys::duckdb_client_context = ptr::null_mut();
    // SAFETY: the information is alive through the call; its extra information is the `Function`
    // that was registered, which lives as long as the function; the bound data is owned by DuckDB,
    // which frees it with `drop_box` and copies it with `copy_box`.
    unsafe {
        sys::duckdb_scalar_function_get_client_context(info, &raw mut context);
        let function = sys::duckdb_scalar_function_bind_get_extra_info(info).cast::<Function>();
        let Some(function) = function.as_ref() else { return };
        let place = function.board.place(id_of(context));
        let bound = Box::new(Bound { place, question: function.question });
        sys::duckdb_scalar_function_set_bind_data(
            info,
            Box::into_raw(bound).cast(),
            Some(drop_box::<Bound>),
        );
        sys::duckdb_scalar_function_set_bind_data_copy(info, Some(copy_box::<Bound>));
    }
}

/// Answers for each row.
///
/// # Safety
/// DuckDB calls it with a flat chunk of the declared parameters and a vector of texts.
unsafe extern "C" fn answer(
    info: sys::duckdb_function_info,
    input: sys::duckdb_data_chunk,
    output: sys::duckdb_vector,
) {
    // SAFETY: the bound data is the `Bound` that `bind` made, or null, and alive through the call;
    // the chunk has the parameters that were declared, with as many rows as it says.
    unsafe {
        let bound = sys::duckdb_scalar_function_get_bind_data(info).cast::<Bound>();
        let rows = sys::duckdb_data_chunk_get_size(input);
        sys::duckdb_vector_ensure_validity_writable(output);
        let validity = sys::duckdb_vector_get_validity(output);
        let question = bound.as_ref().map(|bound| bound.question);
        if question == Some(Question::Header) {
            let names = sys::duckdb_data_chunk_get_vector(input, 0);
            for row in 0..rows {
                let name = text_at(names, row);
                let said = name
                    .zip(bound.as_ref())
                    .and_then(|(name, bound)| bound.place.answer(bound.question, &name));
                put(output, validity, row, said.as_deref());
            }
            return;
        }
        let said = bound.as_ref().and_then(|bound| bound.place.answer(bound.question, ""));
        for row in 0..rows {
            put(output, validity, row, said.as_deref());
        }
    }
}

/// Writes one answer.
///
/// # Safety
/// The vector is one of texts that has the row, and the mask is its own.
unsafe fn put(vector: sys::duckdb_vector, validity: *mut u64, row: u64, said: Option<&str>) {
    // SAFETY: the caller's promise; the text is copied.
    unsafe {
        match said {
            Some(text) => {
                let (start, length) = (text.as_ptr().cast::<c_char>(), text.len() as u64);
                sys::duckdb_vector_assign_string_element_len(vector, row, start, length);
            }
            None => sys::duckdb_validity_set_row_invalid(validity, row),
        }
    }
}

/// A copy of one text; `None` for NULL.
///
/// # Safety
/// The vector is a flat one of texts that has the row.
unsafe fn text_at(vector: sys::duckdb_vector, row: u64) -> Option<String> {
    // SAFETY: the caller's promise; a vector without a mask has no NULL.
    unsafe {
        let validity = sys::duckdb_vector_get_validity(vector);
        if !validity.is_null() && !sys::duckdb_validity_row_is_valid(validity, row) {
            return None;
        }
        let strings = sys::duckdb_vector_get_data(vector).cast::<sys::duckdb_string_t>();
        let string = strings.add(usize::try_from(row).ok()?);
        let length = sys::duckdb_string_t_length(*string) as usize;
        let bytes = sys::duckdb_string_t_data(string).cast::<u8>();
        let bytes = std::slice::from_raw_parts(bytes, length);
        String::from_utf8(bytes.to_vec()).ok()
    }
}

/// Frees what was handed to DuckDB.
///
/// # Safety
/// It is a `Box<T>` that was handed over, and this is called once.
unsafe extern "C" fn drop_box<T>(data: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// Copies what was handed to DuckDB.
///
/// # Safety
/// It is a `Box<T>` that was handed over and is not freed.
unsafe extern "C" fn copy_box<T: Clone>(data: *mut c_void) -> *mut c_void {
    // SAFETY: the caller's promise.
    let copy = unsafe { (*data.cast::<T>()).clone() };
    Box::into_raw(Box::new(copy)).cast()
}
