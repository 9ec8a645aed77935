//! Conditions as machine code, made by Cranelift when a bundle is loaded. The interpreter is the
//! reference and the fallback: where compiled code says true or false, the interpreter says the same;
//! whenever it says anything else, the interpreter is asked.
//!
//! Types that the compiler noted are guesses. Code tests the tag of what it reads and leaves by a
//! side exit when a guess was wrong. Nothing of a bundle becomes an address: slots and jumps were
//! verified, everything else is looked up here.
//!
//! Memory is writable while code is made and executable afterwards, never both; it is made final once
//! for all conditions of a bundle, and freed when the last of them goes.

mod code;
mod context;
mod helper;
mod shape;
#[expect(
    clippy::indexing_slicing,
    clippy::many_single_char_names,
    reason = "registers were verified before code is written; two operands have two names each"
)]
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use bumpalo::Bump;

use crate::interpret::Inputs;
use crate::predicate::Predicate;
use crate::value::Value;
use code::Code;
use context::{Context, Entry};
use write::Leaves;

/// Most instructions of a condition that is compiled; larger ones are interpreted.
const MAX_INSTRUCTIONS: usize = 4_096;
/// Most registers of a condition that is compiled: they are on the stack, 32 bytes each.
const MAX_REGISTERS: u16 = 256;

/// Why nothing was compiled. Everything is interpreted then, with the same results.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JitError {
    /// Cranelift has no code for this processor.
    #[error("there is no code generator for this processor: {0}")]
    Processor(String),
    /// Values are not laid out as compiled code expects them.
    #[error("values have another layout than compiled code expects")]
    Layout,
    /// No executable memory can be had.
    #[error("no executable memory can be had: {0}")]
    Memory(String),
    /// Code was made that breaks a rule.
    #[error("code cannot be made: {0}")]
    Code(String),
}

/// What was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compiled {
    /// conditions that run as machine code now
    pub compiled: usize,
    /// conditions that stay with the interpreter, because they are too large or gain nothing
    pub interpreted: usize,
}

/// What compiled code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The condition does not hold.
    False,
    /// It holds.
    True,
    /// It errs; only the interpreter knows why.
    Error,
    /// A guess about types was wrong, or the budget is exhausted: the interpreter has to say.
    Unsure,
}

/// The machine code of a condition.
#[derive(Debug)]
pub(crate) struct Native {
    entry: Entry,
    needs: Needs,
    /// keeps the memory that `entry` is in
    _code: Arc<Code>,
}

/// The inputs that code reads without asking whether they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    user: usize,
    params: usize,
    response: bool,
    request: bool,
}

/// Compiles conditions. Each uses its code from then on.
///
/// # Errors
/// When this process cannot have machine code; everything is interpreted then.
pub fn compile<'p>(
    predicates: impl IntoIterator<Item = &'p Predicate>,
) -> Result<Compiled, JitError> {
    compile_where(predicates, gains)
}

/// Compiles conditions also where that gains nothing, for tests.
///
/// # Errors
/// When this process cannot have machine code.
pub fn compile_all<'p>(
    predicates: impl IntoIterator<Item = &'p Predicate>,
) -> Result<Compiled, JitError> {
    compile_where(predicates, |_| true)
}

fn compile_where<'p>(
    predicates: impl IntoIterator<Item = &'p Predicate>,
    wanted: impl Fn(&Predicate) -> bool,
) -> Result<Compiled, JitError> {
    let mut making = code::Making::new()?;
    let mut report = Compiled::default();
    let mut made = Vec::new();
    for predicate in predicates {
        if predicate.native.get().is_none() && is_small(predicate) && wanted(predicate) {
            made.push((predicate, making.add(predicate, Leaves::Verdict)?));
        } else {
            report.interpreted += 1;
        }
    }
    report.compiled = made.len();
    let code = Arc::new(making.finish()?);
    for (predicate, id) in made {
        let native =
            Native { entry: code.entry(id), needs: needs(predicate), _code: Arc::clone(&code) };
        // Another thread may have been faster; its code is as good.
        let _ = predicate.native.set(native);
    }
    Ok(report)
}

/// How much of an expression is machine code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lowering {
    /// All of it, calls of functions included.
    Whole,
    /// These instructions are done by the interpreter, one by one, between those that are code.
    Stepped(Vec<&'static str>),
    /// Nothing: it has too many instructions or registers.
    TooLarge,
}

/// How much of an expression becomes machine code.
pub fn lowering(predicate: &Predicate) -> Lowering {
    if !is_small(predicate) {
        return Lowering::TooLarge;
    }
    let mut names: Vec<&'static str> = write::stepped(predicate);
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { Lowering::Whole } else { Lowering::Stepped(names) }
}

/// An expression of any type as machine code. Policies are conditions; this is how tests ask machine
/// code about everything else.
#[derive(Debug)]
pub struct Expression {
    native: Native,
}

impl Expression {
    /// Compiles an expression; `None` if it is too large.
    ///
    /// # Errors
    /// When this process cannot have machine code.
    pub fn compile(predicate: &Predicate) -> Result<Option<Self>, JitError> {
        if !is_small(predicate) {
            return Ok(None);
        }
        let mut making = code::Making::new()?;
        let id = making.add(predicate, Leaves::Value)?;
        let code = Arc::new(making.finish()?);
        let native = Native { entry: code.entry(id), needs: needs(predicate), _code: code };
        Ok(Some(Self { native }))
    }

    /// What the code of `predicate`, from which this was compiled, says; `None` if it is unsure. An
    /// error has no message.
    pub fn value<'a>(
        &self,
        predicate: &'a Predicate,
        inputs: &'a Inputs<'a>,
        arena: &'a Bump,
    ) -> Option<Value<'a>> {
        if self.native.needs.lacks(inputs) {
            return None;
        }
        let mut context = Context::new(predicate, inputs, &[], arena, self.native.needs.request);
        context.leave(self.native.entry)
    }
}

/// The code of a condition in Cranelift's text form, before optimisation.
///
/// # Errors
/// When there is no code generator for this processor.
pub fn text(predicate: &Predicate) -> Result<String, JitError> {
    if !is_small(predicate) {
        return Ok("; too large to be compiled\n".to_owned());
    }
    code::Making::new()?.text(predicate)
}

/// Whether compiling a condition is worth it: when all that it does is done by functions, the
/// interpreter is as fast.
fn gains(predicate: &Predicate) -> bool {
    write::inline_operations(predicate) > 0
}

const fn is_small(predicate: &Predicate) -> bool {
    predicate.code.len() <= MAX_INSTRUCTIONS && predicate.registers <= MAX_REGISTERS
}

fn needs(predicate: &Predicate) -> Needs {
    use mxcp_schemas::bundle::code::Slot;
    let mut needs = Needs::default();
    for input in predicate.inputs() {
        match input.slot {
            Slot::User(index) => needs.user = needs.user.max(usize::from(index) + 1),
            Slot::Param(index) => needs.params = needs.params.max(usize::from(index) + 1),
            Slot::Response => needs.response = true,
            Slot::Request(_) => needs.request = true,
            Slot::UserMap => {}
        }
    }
    needs
}

impl Needs {
    #[inline]
    const fn lacks(&self, inputs: &Inputs<'_>) -> bool {
        inputs.user.len() < self.user
            || inputs.params.len() < self.params
            || (self.response && inputs.response.is_none())
    }
}

impl Native {
    /// Runs the code.
    #[inline]
    pub(crate) fn run(
        &self,
        predicate: &Predicate,
        inputs: &Inputs<'_>,
        memory: &[AtomicU8],
        arena: &Bump,
    ) -> Verdict {
        if self.needs.lacks(inputs) {
            return Verdict::Unsure;
        }
        let mut context = Context::new(predicate, inputs, memory, arena, self.needs.request);
        match context.enter(self.entry) {
            0 => Verdict::False,
            1 => Verdict::True,
            2 => Verdict::Error,
            _ => Verdict::Unsure,
        }
    }
}
