//! What compiled code is given, and where in it things are.

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::AtomicU8;

use bumpalo::Bump;

use crate::datum::{Datum, Instant, List, Members, Symbol, Text};
use crate::interpret::{Inputs, MAX_STEPS, Machine, Request};
use crate::predicate::Predicate;
use crate::value::{Str, Value};

/// A compiled condition, which is given what it reads beside its context: 0 false, 1 true, 2 error,
/// anything else unsure.
pub(super) type Entry = unsafe extern "C" fn(*mut Context<'_>, *const Inputs<'_>) -> u8;

/// What an evaluation lends to compiled code.
#[repr(C)]
pub(crate) struct Context<'a> {
    /// steps left
    pub(super) budget: u64,
    /// one byte for each part, or null where nothing is remembered
    pub(super) memory: *const AtomicU8,
    /// the properties of the request, as values in the order of their slots
    pub(super) request: *const Value<'a>,
    /// where an expression that is no condition leaves its value
    pub(super) result: *mut Value<'a>,
    /// the interpreter that does what is not compiled, once it is needed
    pub(super) machine: Option<&'a mut Machine<'a>>,
    pub(super) predicate: &'a Predicate,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) arena: &'a Bump,
}

pub(super) const BUDGET: i32 = offset(offset_of!(Context<'_>, budget));
pub(super) const MEMORY: i32 = offset(offset_of!(Context<'_>, memory));
pub(super) const REQUEST: i32 = offset(offset_of!(Context<'_>, request));
pub(super) const RESULT: i32 = offset(offset_of!(Context<'_>, result));

/// Where the inputs have the attributes of the caller: the address of the first, then their number.
pub(super) const USER: i32 = offset(offset_of!(Inputs<'_>, user));
/// Where the inputs have the arguments, likewise.
pub(super) const PARAMS: i32 = offset(offset_of!(Inputs<'_>, params));
/// Where the inputs have the address of the result.
pub(super) const RESPONSE: i32 = offset(offset_of!(Inputs<'_>, response));
/// Where the inputs have the address of the caller as a map.
pub(super) const USER_MAP: i32 = offset(offset_of!(Inputs<'_>, user_map));

/// Bytes of a value, and of a datum.
pub(super) const SIZE: i32 = offset(size_of::<Value<'_>>());
/// Where the payload of a value begins, after its tag.
pub(super) const PAYLOAD: i32 = 8;
/// Where the nanoseconds of a time are.
pub(super) const NANOS: i32 = 16;
/// Where the length of a text is, and of a list of an input.
pub(super) const LENGTH: i32 = 16;
/// Where the symbol of a text is.
pub(super) const SYMBOL: i32 = 24;
/// Where the index of a list of an input is: null, or the address of its words and their number.
pub(super) const MEMBERS: i32 = 24;

/// Bytes of an entry of a map of an input, and where in it the symbol of its key and its value are.
pub(super) const ENTRY: i32 = offset(size_of::<(Text, Datum)>());
/// See [`ENTRY`].
pub(super) const KEY_SYMBOL: i32 = offset(offset_of!((Text, Datum), 0) + offset_of!(Text, symbol));
/// See [`ENTRY`].
pub(super) const ENTRY_VALUE: i32 = offset(offset_of!((Text, Datum), 1));

/// The tags of values and data.
pub(super) mod tag {
    pub(in crate::jit) const NULL: u8 = 0;
    pub(in crate::jit) const BOOL: u8 = 1;
    pub(in crate::jit) const INT: u8 = 2;
    pub(in crate::jit) const DOUBLE: u8 = 4;
    pub(in crate::jit) const STRING: u8 = 5;
    pub(in crate::jit) const TIMESTAMP: u8 = 7;
    pub(in crate::jit) const DURATION: u8 = 8;
    pub(in crate::jit) const LIST: u8 = 9;
    pub(in crate::jit) const MAP: u8 = 10;
    pub(in crate::jit) const ERROR: u8 = 11;
}

/// The first half of a symbol: what is known of a text.
pub(super) const FOREIGN: i64 = 1;
/// See [`FOREIGN`].
pub(super) const KNOWN: i64 = 2;

/// A symbol as it stands in memory.
pub(super) fn symbol_bits(symbol: Symbol) -> i64 {
    match symbol {
        Symbol::Unknown => 0,
        Symbol::Foreign => FOREIGN,
        Symbol::Known(number) if cfg!(target_endian = "little") => {
            (i64::from(number) << 32) | KNOWN
        }
        Symbol::Known(number) => (KNOWN << 32) | i64::from(number),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "all are small")]
const fn offset(bytes: usize) -> i32 {
    bytes as i32
}

impl<'a> Context<'a> {
    #[inline]
    pub(super) fn new(
        predicate: &'a Predicate,
        inputs: &'a Inputs<'a>,
        memory: &'a [AtomicU8],
        arena: &'a Bump,
        request: bool,
    ) -> Self {
        let request = if request { properties(inputs, arena) } else { ptr::null() };
        let remembers = predicate.parts() > 0 && memory.len() >= usize::from(predicate.parts());
        Self {
            budget: MAX_STEPS - predicate.code.len() as u64,
            memory: if remembers { memory.as_ptr() } else { ptr::null() },
            request,
            result: ptr::null_mut(),
            machine: None,
            predicate,
            inputs,
            arena,
        }
    }

    /// What is remembered of the caller: as many bytes as the condition has parts, or none.
    pub(super) fn remembered(&self) -> &'a [AtomicU8] {
        if self.memory.is_null() {
            return &[];
        }
        // SAFETY: it is the address of a slice of at least so many bytes, which outlives this.
        unsafe { std::slice::from_raw_parts(self.memory, usize::from(self.predicate.parts())) }
    }

    /// Runs code that leaves a value; `None` when it is unsure.
    pub(super) fn leave(&mut self, entry: Entry) -> Option<Value<'a>> {
        let mut result = Value::Null;
        self.result = &raw mut result;
        let told = self.enter(entry);
        self.result = ptr::null_mut();
        (told == 0).then_some(result)
    }

    /// Runs the code of a condition.
    #[inline]
    pub(super) fn enter(&mut self, entry: Entry) -> u8 {
        // SAFETY: `entry` was compiled from the predicate of this context, whose code was verified;
        // the inputs that it reads are there, as `Native::run` has seen; and its memory is kept by the
        // `Native` that it belongs to.
        unsafe { entry(self, self.inputs) }
    }
}

/// The properties of the request, for the few conditions that read them. Apart, for what it needs on the
/// stack costs all others as much as their own code.
#[inline(never)]
fn properties<'a>(inputs: &Inputs<'a>, arena: &'a Bump) -> *const Value<'a> {
    arena.alloc(inputs.request_values()).as_ptr()
}

/// Whether values are laid out as this module says: Rust promises it of enums and structs with a
/// `repr`, of slices and boxes it is merely so.
pub(super) fn holds() -> bool {
    let text = Text { text: "abc".into(), symbol: Symbol::Known(7) };
    let (address, symbol) = (text.text.as_ptr() as u64, symbol_bits(text.symbol));
    let string = Datum::String(text);
    let value = Value::String(Str { text: "abcd", symbol: Symbol::Foreign });
    let list = List::indexed([string.clone(), string.clone()].into());
    let (items, members) = (list.as_ptr() as u64, list.members().map(ptr::from_ref));
    let list = Datum::List(list);
    let words = members.map_or([0; 2], |members: *const Members| words_at(members.cast()));
    let entries: Box<[(Text, Datum)]> =
        Box::new([(Text { text: "key".into(), symbol: Symbol::Known(3) }, Datum::Int(9))]);
    let first = entries.as_ptr() as u64;
    let map = Datum::Map(entries);
    let instant = Datum::Timestamp(Instant { seconds: 5, nanos: 6 });
    let tags = [
        (tag_of(&Datum::Null), tag::NULL),
        (tag_of(&Datum::Bool(true)), tag::BOOL),
        (tag_of(&Datum::Int(1)), tag::INT),
        (tag_of(&Datum::Double(1.0)), tag::DOUBLE),
        (tag_of(&string), tag::STRING),
        (tag_of(&instant), tag::TIMESTAMP),
        (tag_of(&list), tag::LIST),
        (tag_of(&map), tag::MAP),
        (tag_of(&Datum::Error("".into())), tag::ERROR),
        (tag_of(&value), tag::STRING),
        (tag_of(&Value::Timestamp(Instant { seconds: 0, nanos: 0 })), tag::TIMESTAMP),
        (tag_of(&Value::Error(&super::helper::FAULT)), tag::ERROR),
    ];
    let of_string: [u64; 4] = words_at(ptr::from_ref(&string).cast());
    let of_value: [u64; 4] = words_at(ptr::from_ref(&value).cast());
    let of_list: [u64; 4] = words_at(ptr::from_ref(&list).cast());
    let of_map: [u64; 3] = words_at(ptr::from_ref(&map).cast());
    let of_instant: [u64; 2] = words_at(ptr::from_ref(&instant).cast());
    size_of::<Datum>() == 32
        && size_of::<Value<'_>>() == 32
        && tags.iter().all(|(found, expected)| found == expected)
        && of_string[1..] == [address, 3, symbol.cast_unsigned()]
        && of_value[2] == 4
        // The second half of a symbol without a number is not written.
        && half(of_value[3]) == FOREIGN.cast_unsigned()
        && of_list[1..] == [items, 2, members.map_or(0, |m| m.addr() as u64)]
        && of_map[1..] == [first, 1]
        && words[1] == 1
        && of_instant[1] == 5
        && inputs_hold(&[string, list], &[map, instant])
}

/// Whether inputs have the addresses of what they consist of where this module says.
fn inputs_hold(some: &[Datum; 2], others: &[Datum; 2]) -> bool {
    let tool = Text { text: "".into(), symbol: Symbol::Foreign };
    let time = Instant { seconds: 0, nanos: 0 };
    let request = Request { time, tool, session_id: None, client_ip: None };
    let inputs = Inputs {
        user: some,
        user_map: &some[1],
        params: others,
        response: Some(&others[1]),
        request: &request,
    };
    let expected = [(USER, &some[0]), (USER_MAP, &some[1]), (PARAMS, &others[0])];
    expected.into_iter().chain([(RESPONSE, &others[1])]).all(|(at, datum)| {
        let place = ptr::from_ref(&inputs).cast::<u8>().wrapping_offset(at as isize);
        words_at::<1>(place.cast()) == [ptr::from_ref(datum).addr() as u64]
    })
}

/// The half of a symbol that says what is known of a text.
const fn half(word: u64) -> u64 {
    if cfg!(target_endian = "little") { word & 0xffff_ffff } else { word >> 32 }
}

pub(super) fn tag_of<T>(value: &T) -> u8 {
    // SAFETY: the first byte of the enums that this is called with is their tag.
    unsafe { *ptr::from_ref(value).cast::<u8>() }
}

fn words_at<const N: usize>(address: *const u64) -> [u64; N] {
    // SAFETY: called with addresses of live values of at least so many words, whose words are all
    // initialised but for the padding after a tag, which is read as the first word and not used.
    std::array::from_fn(|i| unsafe { address.add(i).read_unaligned() })
}
