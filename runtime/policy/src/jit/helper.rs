//! What compiled code calls. Helpers are `extern "C"` and never unwind: a panic inside one is caught
//! and answered with [`UNSURE`], and the interpreter decides.
//!
//! Addresses are those that compiled code was given or read from the context; an odd one is that of
//! a value (and one too large), an even one that of a datum.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use mxcp_schemas::bundle::code::ConstId;

use super::context::Context;
use crate::datum::{Datum, Text, find};
use crate::function::{self, Call, Function, scan_steps};
use crate::interpret::{Machine, Stepped};
use crate::value::{self, FailureKind, Fault, Value};

/// The interpreter has to say.
const UNSURE: u64 = 3;
const ERROR: u64 = 2;

/// The error of which only the interpreter knows what it is.
pub(super) static FAULT: Fault<'static> =
    Fault { kind: FailureKind::BadInput, message: "the condition failed" };

/// An input that is an error, for what is not found.
static FAILED: LazyLock<Datum> = LazyLock::new(|| Datum::Error("the condition failed".into()));

pub(super) fn failed() -> *const Datum {
    &raw const *FAILED
}

/// `a == b`
pub(super) extern "C" fn equal(context: &mut Context<'_>, a: usize, b: usize) -> u64 {
    told(context, |context| {
        let (a, b) = (context.value(a), context.value(b));
        match (a, b) {
            (Value::Error(_), _) | (_, Value::Error(_)) => Some(ERROR),
            (a, b) => {
                value::equal_within(&a, &b, context.arena, &mut context.budget).map(u64::from)
            }
        }
    })
}

/// Whether texts of the same length, at two addresses, have the same bytes.
pub(super) extern "C" fn same_bytes(
    _: &mut Context<'_>,
    a: *const u8,
    b: *const u8,
    len: usize,
) -> u64 {
    // SAFETY: both are addresses of texts of that length, read from values just now.
    let (a, b) = unsafe { (bytes_at(a, len), bytes_at(b, len)) };
    u64::from(a == b)
}

/// Whether a text holds another.
pub(super) extern "C" fn text_contains(
    context: &mut Context<'_>,
    text: *const u8,
    len: usize,
    part: &Text,
) -> u64 {
    // SAFETY: as in `text_matches`.
    let text = unsafe { std::str::from_utf8_unchecked(bytes_at(text, len)) };
    // In linear time, which is what is paid for.
    told(context, |context| {
        context.spend(scan_steps(text)).then(|| u64::from(text.contains(&*part.text)))
    })
}

/// Whether a regular expression matches somewhere in a text.
pub(super) extern "C" fn text_matches(
    context: &mut Context<'_>,
    text: *const u8,
    len: usize,
    regex: &regex::Regex,
) -> u64 {
    // SAFETY: as in `same_bytes`; what is a text of a value is UTF-8.
    let text = unsafe { std::str::from_utf8_unchecked(bytes_at(text, len)) };
    told(context, |context| context.spend(len as u64).then(|| u64::from(regex.is_match(text))))
}

/// How many code points a text has, or less than nothing if the budget does not suffice.
pub(super) extern "C" fn code_points(
    context: &mut Context<'_>,
    text: *const u8,
    len: usize,
) -> i64 {
    // SAFETY: as in `text_matches`.
    let text = unsafe { std::str::from_utf8_unchecked(bytes_at(text, len)) };
    if context.spend(len as u64) { i64::try_from(text.chars().count()).unwrap_or(-1) } else { -1 }
}

/// # Safety
/// `address` is that of so many bytes, which outlive the use of the slice.
unsafe fn bytes_at<'b>(address: *const u8, len: usize) -> &'b [u8] {
    // SAFETY: the caller promises it.
    unsafe { std::slice::from_raw_parts(address, len) }
}

/// `a in b`
pub(super) extern "C" fn contains(context: &mut Context<'_>, a: usize, b: usize) -> u64 {
    told(context, |context| {
        let (a, b) = (context.value(a), context.value(b));
        if matches!(a, Value::Error(_)) || matches!(b, Value::Error(_)) {
            return Some(ERROR);
        }
        let found = context.lend(|call| function::contains(call, &[a, b]));
        truth(found)
    })
}

/// `source.exists(x, x in set)`, or `all`
pub(super) extern "C" fn quantify(
    context: &mut Context<'_>,
    source: usize,
    set: u64,
    any: u64,
) -> u64 {
    told(context, |context| {
        let set = context.predicate.constant(const_id(set), context.arena);
        let source = context.value(source);
        let found = context.lend(|call| crate::interpret::quantify(call, source, set, any == 1));
        truth(found)
    })
}

/// The value of a field of a map of the inputs, or an error.
pub(super) extern "C" fn field(_: &mut Context<'_>, map: &Datum, name: &Datum) -> *const Datum {
    let (Datum::Map(entries), Datum::String(name)) = (map, name) else { return failed() };
    find(entries, &name.text, name.symbol).map_or_else(failed, std::ptr::from_ref)
}

/// Whether a map of the inputs has a field.
pub(super) extern "C" fn has(_: &mut Context<'_>, map: &Datum, name: &Datum) -> u64 {
    let (Datum::Map(entries), Datum::String(name)) = (map, name) else { return ERROR };
    match find(entries, &name.text, name.symbol) {
        Some(_) => 1,
        None => 0,
    }
}

/// An element of a list or map of the inputs, or an error.
pub(super) extern "C" fn element(
    context: &mut Context<'_>,
    source: &Datum,
    key: usize,
) -> *const Datum {
    let key = context.value(key);
    match (source, key) {
        (Datum::Map(entries), Value::String(name)) => {
            find(entries, name.text, name.symbol).map_or_else(failed, std::ptr::from_ref)
        }
        (Datum::List(items), key) => {
            let index = crate::interpret::whole(key).and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| items.get(index)).map_or_else(failed, std::ptr::from_ref)
        }
        _ => failed(),
    }
}

/// Calls a function of which a truth value is expected.
pub(super) extern "C" fn call_truth(
    context: &mut Context<'_>,
    function: &'static Function,
    count: usize,
    arguments: *const usize,
) -> u64 {
    told(context, |context| {
        let value = context.call(function, count, arguments);
        truth(value)
    })
}

/// Calls a function and writes its value.
pub(super) extern "C" fn call_value<'a>(
    context: &mut Context<'a>,
    function: &'static Function,
    count: usize,
    arguments: *const usize,
    to: *mut Value<'a>,
) -> u64 {
    told(context, |context| {
        let value = context.call(function, count, arguments);
        // SAFETY: `to` is the home of a register on the stack of the compiled function.
        unsafe { to.write(value) };
        let exhausted = matches!(value, Value::Error(fault) if fault.kind == FailureKind::Budget);
        (!exhausted).then_some(0)
    })
}

/// Writes the value of a datum.
pub(super) extern "C" fn value<'a>(
    context: &mut Context<'a>,
    datum: &'a Datum,
    to: *mut Value<'a>,
) {
    let value = Value::of(datum, context.arena);
    // SAFETY: `to` is on the stack of the compiled function, and large enough.
    unsafe { to.write(value) };
}

/// Writes the value of a constant.
pub(super) extern "C" fn constant<'a>(context: &mut Context<'a>, id: u64, to: *mut Value<'a>) {
    let value = context.predicate.constant(const_id(id), context.arena);
    // SAFETY: as in `value`.
    unsafe { to.write(value) };
}

/// Makes the interpreter that works on the homes of the registers.
pub(super) extern "C" fn begin<'a>(context: &mut Context<'a>, frame: *mut Value<'a>) {
    let count = usize::from(context.predicate.registers);
    for register in 0..count {
        // SAFETY: the frame has a place for each register, and nothing else refers to it yet.
        unsafe { frame.add(register).write(Value::Null) };
    }
    // SAFETY: as above; the frame lives as long as the compiled function runs, and the machine is
    // used by the helpers that it calls alone. Compiled code reads and writes the frame only while no
    // helper runs.
    let registers = unsafe { std::slice::from_raw_parts_mut(frame, count) };
    let machine = Machine::over(
        context.predicate,
        context.inputs,
        context.remembered(),
        context.arena,
        registers,
    );
    context.machine = Some(context.arena.alloc(machine));
}

/// Lets the interpreter do an instruction: 0 control goes on, 1 it jumps.
pub(super) extern "C" fn step(context: &mut Context<'_>, at: usize) -> u64 {
    told(context, |context| {
        let budget = context.budget;
        let machine = context.machine.as_mut()?;
        let (stepped, left) = machine.step_at(at, budget);
        context.budget = left;
        match stepped {
            Stepped::On => Some(0),
            Stepped::Jump => Some(1),
            Stepped::Done => None,
        }
    })
}

impl<'a> Context<'a> {
    /// The value at an address.
    fn value(&self, address: usize) -> Value<'a> {
        if address & 1 == 1 {
            // SAFETY: an odd address is one more than that of a value that compiled code has written
            // or that is part of the context.
            unsafe { *((address - 1) as *const Value<'a>) }
        } else {
            // SAFETY: an even address is that of a datum of the inputs or of the predicate, both of
            // which outlive the evaluation.
            Value::of(unsafe { &*(address as *const Datum) }, self.arena)
        }
    }

    /// Takes steps from the budget; whether there were enough.
    fn spend(&mut self, steps: u64) -> bool {
        match self.budget.checked_sub(steps) {
            Some(left) => self.budget = left,
            None => return false,
        }
        true
    }

    /// Lends what functions need.
    fn lend<R>(&mut self, run: impl FnOnce(&mut Call<'a>) -> R) -> R {
        let mut call =
            Call { arena: self.arena, budget: self.budget, patterns: &self.predicate.patterns };
        let result = run(&mut call);
        self.budget = call.budget;
        result
    }

    fn call(
        &mut self,
        function: &'static Function,
        count: usize,
        arguments: *const usize,
    ) -> Value<'a> {
        let mut args = [Value::Null; super::write::MAX_ARGUMENTS];
        let count = count.min(args.len());
        for (index, arg) in args.iter_mut().take(count).enumerate() {
            // SAFETY: compiled code has written so many addresses.
            *arg = self.value(unsafe { *arguments.add(index) });
        }
        let args = args.get(..count).unwrap_or(&[]);
        if let Some(error) = args.iter().find(|arg| matches!(arg, Value::Error(_))) {
            return *error;
        }
        self.lend(|call| (function.eval)(call, args))
    }
}

/// Runs a helper that may not unwind; nothing means unsure.
fn told<'a>(context: &mut Context<'a>, run: impl FnOnce(&mut Context<'a>) -> Option<u64>) -> u64 {
    catch_unwind(AssertUnwindSafe(|| run(context))).ok().flatten().unwrap_or(UNSURE)
}

/// A truth value. An exhausted budget is for the interpreter to tell, and so is what was expected to be
/// a truth value and is not.
fn truth(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Bool(value) => Some(u64::from(value)),
        Value::Error(fault) if fault.kind != FailureKind::Budget => Some(ERROR),
        _ => None,
    }
}

fn const_id(id: u64) -> ConstId {
    ConstId(u16::try_from(id).unwrap_or(u16::MAX))
}
