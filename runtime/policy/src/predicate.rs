//! Predicate code, linked: functions found, strings interned, patterns compiled.

use std::sync::OnceLock;

use bumpalo::Bump;
use mxcp_schemas::bundle::code::{
    Const, ConstId, Depends, Input, InputId, Kind, Op, Operand, Program, Reg, Slot,
};

use crate::datum::{Datum, Instant, List, Span, Symbol, Symbols};
use crate::function::{self, Function, Lowering, TextTest};
use crate::interpret::Watch;
use crate::jit::Native;
use crate::value::{Str, Value};
use crate::verify::{self, Layout, VerifyError};

/// A condition that can be evaluated.
#[derive(Debug)]
pub struct Predicate {
    pub(crate) registers: u16,
    pub(crate) code: Box<[Op]>,
    /// what the checker expects instructions to make
    pub(crate) kinds: Box<[Kind]>,
    arguments: Box<[Operand]>,
    pub(crate) functions: Vec<&'static Function>,
    /// for each function the order that it is, if it is one
    pub(crate) lowerings: Vec<Option<Lowering>>,
    pub(crate) patterns: Vec<(Box<str>, regex::Regex)>,
    /// how many things are built or walked
    pub(crate) works: usize,
    /// where jumps go, in order
    pub(crate) targets: Box<[u32]>,
    /// its machine code, once there is some
    pub(crate) native: OnceLock<Native>,
    /// who is shown its evaluations, if somebody is
    pub(crate) watch: OnceLock<Box<dyn Watch>>,
    inputs: Box<[Input]>,
    constants: Vec<Constant>,
    /// for each register the number of what it builds or walks, if it does
    work_of: Box<[Option<u16>]>,
    /// loop heads and the instructions of their bodies, in order
    weights: Box<[(u32, u32)]>,
    spans: Vec<(u32, u32)>,
    depends: Depends,
    parts: u16,
}

#[derive(Debug)]
enum Constant {
    Datum(Datum),
    Type(Box<str>),
}

/// Why code cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It breaks a rule.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It calls what this release does not have.
    #[error("there is no function `{0}` in this release")]
    Function(String),
}

impl Predicate {
    /// Verifies code and links it. Strings that it mentions get symbols.
    ///
    /// # Errors
    /// When the code breaks a rule or names a function that does not exist.
    pub fn link(
        program: &Program,
        layout: &Layout,
        symbols: &mut Symbols,
    ) -> Result<Self, LinkError> {
        verify::verify(program, layout)?;
        let functions = program
            .functions
            .iter()
            .map(|name| function::find(name).ok_or_else(|| LinkError::Function(name.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let mut constants: Vec<Constant> = Vec::with_capacity(program.constants.len());
        for constant in &program.constants {
            let linked = link_constant(constant, &constants, symbols);
            constants.push(linked);
        }
        let patterns = link_patterns(program);
        let (work_of, works) = link_works(program);
        Ok(Self {
            registers: program.registers,
            code: program.code.as_slice().into(),
            arguments: program.arguments.as_slice().into(),
            kinds: program.kinds.as_slice().into(),
            lowerings: functions.iter().map(|function| function.lowering).collect(),
            functions,
            patterns,
            works,
            targets: targets(program),
            native: OnceLock::new(),
            watch: OnceLock::new(),
            inputs: program.inputs.as_slice().into(),
            constants,
            work_of,
            weights: weights(program),
            spans: program.spans.clone(),
            depends: program.depends,
            parts: program.parts,
        })
    }

    /// The inputs that it may read.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.inputs.iter().map(|input| input.slot)
    }

    /// Whether there are all inputs that it may read where there are these. It was verified for those of
    /// when it was linked.
    pub fn fits(&self, layout: &Layout) -> bool {
        self.slots().all(|slot| layout.has(slot))
    }

    /// What its value depends on.
    pub const fn depends(&self) -> Depends {
        self.depends
    }

    /// How many parts of it depend on the caller alone: see [`Predicate::evaluate_remembering`].
    pub const fn parts(&self) -> u16 {
        self.parts
    }

    /// The byte range of the sub-expression that an instruction computes.
    pub fn span(&self, instruction: usize) -> Option<(u32, u32)> {
        self.spans.get(instruction).copied()
    }

    pub(crate) fn constant<'a>(&'a self, id: ConstId, arena: &'a Bump) -> Value<'a> {
        match self.constants.get(usize::from(id.0)) {
            Some(Constant::Datum(datum)) => Value::of(datum, arena),
            Some(Constant::Type(name)) => Value::Type(name),
            None => Value::Null,
        }
    }

    pub(crate) fn datum(&self, id: ConstId) -> Option<&Datum> {
        match self.constants.get(usize::from(id.0)) {
            Some(Constant::Datum(datum)) => Some(datum),
            _ => None,
        }
    }

    pub(crate) fn argument_slice(&self, first: u16, count: u8) -> &[Operand] {
        let first = usize::from(first);
        self.arguments.get(first..first + usize::from(count)).unwrap_or(&[])
    }

    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub(crate) fn slot(&self, id: InputId) -> Option<Slot> {
        self.inputs.get(usize::from(id.0)).map(|input| input.slot)
    }

    /// The number of what a register builds or walks.
    pub(crate) fn work(&self, register: Reg) -> Option<usize> {
        self.work_of.get(usize::from(register.0)).copied().flatten().map(usize::from)
    }

    /// The instructions that are in loops, heads included.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = usize> {
        let mut all: Vec<usize> = self
            .weights
            .iter()
            .flat_map(|(head, weight)| *head as usize..(*head + *weight) as usize)
            .collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    /// The steps of the body of the loop that has its head at an instruction.
    pub(crate) fn weight(&self, head: usize) -> u64 {
        let found = self.weights.binary_search_by_key(&head, |(head, _)| *head as usize);
        found.ok().and_then(|at| self.weights.get(at)).map_or(1, |(_, weight)| u64::from(*weight))
    }

    pub(crate) fn name(&self, id: ConstId) -> Str<'_> {
        match self.constants.get(usize::from(id.0)) {
            Some(Constant::Datum(Datum::String(text))) => {
                Str { text: &text.text, symbol: text.symbol }
            }
            _ => Str { text: "", symbol: Symbol::Unknown },
        }
    }
}

fn link_constant(constant: &Const, earlier: &[Constant], symbols: &mut Symbols) -> Constant {
    let known = |id: &ConstId| match earlier.get(usize::from(id.0)) {
        Some(Constant::Datum(datum)) => datum.clone(),
        _ => Datum::Error("a type cannot be part of a literal".into()),
    };
    Constant::Datum(match constant {
        Const::Null => Datum::Null,
        Const::Bool(value) => Datum::Bool(*value),
        Const::Int(value) => Datum::Int(*value),
        Const::Uint(value) => Datum::Uint(*value),
        Const::Double(value) => Datum::Double(*value),
        Const::String(text) => {
            symbols.intern(text);
            Datum::String(symbols.text(text.as_str()))
        }
        Const::Bytes(bytes) => Datum::Bytes(bytes.as_slice().into()),
        Const::Timestamp(seconds, nanos) => {
            Datum::Timestamp(Instant { seconds: *seconds, nanos: *nanos })
        }
        Const::Duration(seconds, nanos) => {
            Datum::Duration(Span { seconds: *seconds, nanos: *nanos })
        }
        Const::Type(name) => return Constant::Type(name.as_str().into()),
        Const::List(items) => Datum::List(List::indexed(items.iter().map(known).collect())),
        Const::Map(entries) => {
            let mut map: Vec<_> = entries
                .iter()
                .filter_map(|(key, value)| match known(key) {
                    Datum::String(text) => Some((text, known(value))),
                    _ => None,
                })
                .collect();
            map.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            Datum::Map(map.into())
        }
    })
}

/// Numbers the registers that build or walk something.
fn link_works(program: &Program) -> (Box<[Option<u16>]>, usize) {
    let mut work_of = vec![None; usize::from(program.registers)];
    let mut works = 0_u16;
    for op in &program.code {
        let (Op::NewList { dst } | Op::NewMap { dst } | Op::Iterate { iter: dst, .. }) = op else {
            continue;
        };
        if let Some(work @ None) = work_of.get_mut(usize::from(dst.0)) {
            *work = Some(works);
            works += 1;
        }
    }
    (work_of.into(), usize::from(works))
}

/// Where jumps go.
fn targets(program: &Program) -> Box<[u32]> {
    let mut targets: Vec<u32> =
        program.code.iter().filter_map(|op| op.target()).map(|target| target.0).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.into()
}

/// Loop heads, each with the distance to the last instruction that goes back to it.
fn weights(program: &Program) -> Box<[(u32, u32)]> {
    let mut ends = std::collections::BTreeMap::new();
    for (at, op) in (0_u32..).zip(&program.code) {
        if let Op::Repeat { head } = op {
            ends.insert(head.0, at - head.0 + 1);
        }
    }
    ends.into_iter().collect()
}

/// Compiles the literals that `matches` is called with.
fn link_patterns(program: &Program) -> Vec<(Box<str>, regex::Regex)> {
    let mut patterns: Vec<(Box<str>, regex::Regex)> = Vec::new();
    for op in &program.code {
        let Op::Call { function, first, count: 2, .. } = op else { continue };
        let called = program.functions.get(usize::from(function.0));
        let called = called.and_then(|name| function::find(name));
        if called.is_none_or(|f| f.lowering != Some(Lowering::Text(TextTest::Matches))) {
            continue;
        }
        let pattern = program.arguments.get(usize::from(*first) + 1);
        let Some(Operand::Const(id)) = pattern else { continue };
        let Some(Const::String(text)) = program.constants.get(usize::from(id.0)) else { continue };
        if patterns.iter().any(|(known, _)| **known == **text) {
            continue;
        }
        if let Ok(regex) = function::compile_pattern(text) {
            patterns.push((text.as_str().into(), regex));
        }
    }
    patterns
}
