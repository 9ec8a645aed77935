//! The ways to run a condition, side by side: what tests and fuzzing ask of predicate code, whoever
//! wrote it.

use std::sync::atomic::AtomicU8;

use bumpalo::Bump;
use mxcp_schemas::bundle::code::Program;

use crate::datum::Symbols;
use crate::interpret::{Engine, Inputs, Outcome};
use crate::jit::{self, JitError, Verdict};
use crate::predicate::{LinkError, Predicate};
use crate::verify::Layout;

/// A condition, linked twice: once with machine code, once without.
#[derive(Debug)]
pub struct Ways {
    compiled: Predicate,
    interpreted: Predicate,
}

/// What all ways came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// the outcome
    pub outcome: Outcome,
    /// whether machine code never left the decision to the interpreter
    pub sure: bool,
}

/// Why the ways cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaysError {
    /// The code is refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no machine code.
    #[error(transparent)]
    Jit(#[from] JitError),
    /// It is too large for machine code.
    #[error("the condition is too large for machine code")]
    TooLarge,
}

/// Two ways that came to different outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{way} came to {told}, the interpreter to {expected:?}")]
pub struct Disagreement {
    /// the other way
    pub way: &'static str,
    /// what it came to
    pub told: String,
    /// what the condition means
    pub expected: Outcome,
}

impl Ways {
    /// Links a condition in both ways.
    ///
    /// # Errors
    /// When it is refused, or has no machine code.
    pub fn link(
        program: &Program,
        layout: &Layout,
        symbols: &mut Symbols,
    ) -> Result<Self, WaysError> {
        let compiled = Predicate::link(program, layout, symbols)?;
        let interpreted = Predicate::link(program, layout, symbols)?;
        match jit::compile_all([&compiled])?.compiled {
            1 => Ok(Self { compiled, interpreted }),
            _ => Err(WaysError::TooLarge),
        }
    }

    /// Evaluates the condition in all ways: by the interpreter, as machine code alone, and as a server
    /// does it; with no memory of the caller, with an empty one, and with what is remembered then.
    ///
    /// # Errors
    /// The first two that say something else. Machine code may be unsure; it may not be wrong.
    pub fn run(&self, inputs: &Inputs<'_>) -> Result<Agreed, Disagreement> {
        let arena = Bump::new();
        let expected = self.interpreted.evaluate_with(Engine::Interpreter, inputs, &arena);
        let disagree = |way, told: String| Disagreement { way, told, expected: expected.clone() };
        let mut sure = true;
        let memory = empty_memory(&self.compiled);
        for memory in [&[][..], &memory, &memory] {
            let verdict = self.compiled.verdict(inputs, memory, &arena);
            let right = match verdict {
                Some(Verdict::True) => expected == Outcome::True,
                Some(Verdict::False) => expected == Outcome::False,
                Some(Verdict::Error) => matches!(expected, Outcome::Error(_)),
                Some(Verdict::Unsure) => true,
                None => false,
            };
            if !right {
                return Err(disagree("machine code", format!("{verdict:?}")));
            }
            sure &= verdict != Some(Verdict::Unsure);
            let served = self.compiled.evaluate_remembering(inputs, memory, &arena);
            if served != expected {
                return Err(disagree("a server", format!("{served:?}")));
            }
        }
        // A condition without machine code remembers and recalls by itself.
        let memory = empty_memory(&self.interpreted);
        for _ in 0..2 {
            let served = self.interpreted.evaluate_remembering(inputs, &memory, &arena);
            if served != expected {
                return Err(disagree("a server without machine code", format!("{served:?}")));
            }
        }
        Ok(Agreed { outcome: expected, sure })
    }
}

fn empty_memory(predicate: &Predicate) -> Vec<AtomicU8> {
    (0..predicate.parts()).map(|_| AtomicU8::new(0)).collect()
}
