//! Predicate code, linked: functions found, strings interned, patterns compiled.

use bumpalo::Bump;
use mxcp_schemas::bundle::code::{Const, ConstId, Depends, Op, Program};

use crate::datum::{Datum, Instant, Span, Symbols};
use crate::function::{self, Function};
use crate::value::Value;
use crate::verify::{self, Layout, VerifyError};

/// A condition that can be evaluated.
#[derive(Debug)]
pub struct Predicate {
    pub(crate) registers: u16,
    pub(crate) code: Vec<Op>,
    pub(crate) functions: Vec<&'static Function>,
    pub(crate) patterns: Vec<(Box<str>, regex::Regex)>,
    constants: Vec<Constant>,
    spans: Vec<(u32, u32)>,
    depends: Depends,
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
        Ok(Self {
            registers: program.registers,
            code: program.code.clone(),
            functions,
            patterns,
            constants,
            spans: program.spans.clone(),
            depends: program.depends,
        })
    }

    /// What its value depends on.
    pub const fn depends(&self) -> Depends {
        self.depends
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

    pub(crate) fn name(&self, id: ConstId) -> &str {
        match self.constants.get(usize::from(id.0)) {
            Some(Constant::Datum(Datum::String(text))) => &text.text,
            _ => "",
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
        Const::List(items) => Datum::List(items.iter().map(known).collect()),
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

/// Compiles the literals that `matches` is called with: any string constant when it is called.
fn link_patterns(program: &Program) -> Vec<(Box<str>, regex::Regex)> {
    let Some(matches) = program.functions.iter().position(|name| name == "matches") else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for op in &program.code {
        let Op::Call { function, first, count: 2, .. } = op else { continue };
        if usize::from(function.0) != matches {
            continue;
        }
        let argument = first.0 + 1;
        let literal = program.code.iter().rev().find_map(|op| match op {
            Op::Const { dst, value } if dst.0 == argument => {
                match program.constants.get(usize::from(value.0)) {
                    Some(Const::String(text)) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        });
        if let Some(text) = literal
            && let Ok(regex) = function::compile_pattern(text)
        {
            patterns.push((text.as_str().into(), regex));
        }
    }
    patterns
}
