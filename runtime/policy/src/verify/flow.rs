//! Following the control flow of a program in one pass: jumps go forward but for loops.

use std::collections::BTreeMap;

use mxcp_schemas::bundle::code::{Op, PartId, Program, Reg, Target};

use super::{Held, MAX_WORK, Operands, VerifyError, destination, read, write};

pub(super) struct Flow<'p> {
    program: &'p Program,
    /// what is known where control arrives by a jump
    arriving: BTreeMap<usize, Vec<Held>>,
    /// what was known at the heads of loops
    heads: BTreeMap<usize, Vec<Held>>,
    /// for each head the last instruction that goes back to it
    last: BTreeMap<usize, usize>,
    part: Option<Part>,
    parts_seen: Vec<bool>,
    work: usize,
}

/// A part that depends on the caller alone, while its code is followed.
struct Part {
    id: PartId,
    begin: usize,
    end: usize,
    dst: Reg,
    outside: Vec<Held>,
}

type Problem = Result<(), &'static str>;

impl<'p> Flow<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        let mut last = BTreeMap::new();
        for (at, op) in program.code.iter().enumerate() {
            if let Op::Repeat { head } = op {
                last.insert(head.0 as usize, at);
            }
        }
        Self {
            program,
            arriving: BTreeMap::new(),
            heads: BTreeMap::new(),
            last,
            part: None,
            parts_seen: vec![false; usize::from(program.parts)],
            work: 0,
        }
    }

    /// One pass in order, with a check at each back edge that nothing new is known there, reaches
    /// every instruction.
    pub(super) fn run(mut self) -> Result<(), VerifyError> {
        let mut state = Some(vec![Held::Nothing; usize::from(self.program.registers)]);
        for (at, op) in self.program.code.iter().enumerate() {
            let problem = |problem| VerifyError { at, problem };
            match (&mut state, self.arriving.remove(&at)) {
                (Some(state), Some(other)) => join(state, &other),
                (state @ None, arriving) => *state = arriving,
                (Some(_), None) => {}
            }
            if let Some(known) = state.take() {
                state = self.instruction(at, *op, known).map_err(problem)?;
            }
            let last_of_part = self.part.as_ref().is_some_and(|part| part.end == at + 1);
            if last_of_part {
                state = self.leave(*op, state).map_err(problem)?;
            }
        }
        Ok(())
    }

    /// What is known after an instruction, if control can go on to the next one.
    fn instruction(
        &mut self,
        at: usize,
        op: Op,
        mut state: Vec<Held>,
    ) -> Result<Option<Vec<Held>>, &'static str> {
        let in_part = self.part.is_some();
        if let Op::Next { .. } = op {
            self.head(at, &mut state)?;
        }
        Operands { program: self.program, state: &state, in_part }.check(op)?;
        match op {
            Op::Return { .. } if in_part => return Err("a part ends the program"),
            Op::Return { .. } => return Ok(None),
            Op::Jump { to } => return self.flow(to, &state).map(|()| None),
            Op::Repeat { head } => return self.back(head, &state).map(|()| None),
            Op::JumpIfTrue { to, .. } | Op::JumpIfFalse { to, .. } => self.flow(to, &state)?,
            Op::JumpIfError { dst, to, .. } => {
                let mut jumped = state.clone();
                write(&mut jumped, dst, Held::Value)?;
                self.flow(to, &jumped)?;
            }
            Op::Iterate { iter, end, .. } => {
                let mut skipped = state.clone();
                write(&mut skipped, iter, Held::Value)?;
                self.flow(end, &skipped)?;
                write(&mut state, iter, Held::Iterator)?;
            }
            Op::Next { key, value, pair, end, .. } => {
                self.flow(end, &state)?;
                write(&mut state, value, Held::Value)?;
                if pair {
                    write(&mut state, key, Held::Value)?;
                }
            }
            Op::Recall { dst, part, end } => {
                return self.enter(at, dst, part, end, state).map(Some);
            }
            Op::Remember { .. } if self.part.as_ref().is_none_or(|part| part.end != at + 1) => {
                return Err("what is remembered is no part");
            }
            Op::NewList { dst } => write(&mut state, dst, Held::List)?,
            Op::NewMap { dst } => write(&mut state, dst, Held::Map)?,
            _ => {
                if let Some(dst) = destination(op) {
                    write(&mut state, dst, Held::Value)?;
                }
            }
        }
        Ok(Some(state))
    }

    /// Control goes forward, and never out of a part.
    fn flow(&mut self, to: Target, state: &[Held]) -> Problem {
        let to = to.0 as usize;
        if self.part.as_ref().is_some_and(|part| to >= part.end) {
            return Err("a jump leaves a part");
        }
        self.spend(state.len())?;
        match self.arriving.get_mut(&to) {
            Some(known) => join(known, state),
            None => {
                self.arriving.insert(to, state.to_vec());
            }
        }
        Ok(())
    }

    /// At the head of a loop nothing is known of what its body uses to build or walk: that may hold
    /// something else when control comes back.
    fn head(&mut self, at: usize, state: &mut [Held]) -> Problem {
        let Some(last) = self.last.get(&at).copied() else { return Ok(()) };
        let body = self.program.code.get(at..last).unwrap_or(&[]);
        self.spend(body.len() + state.len())?;
        let mut in_part = false;
        for op in body {
            in_part |= matches!(op, Op::Recall { .. });
            if let Op::Remember { .. } = op {
                in_part = false;
                continue;
            }
            let works = matches!(op, Op::NewList { .. } | Op::NewMap { .. } | Op::Iterate { .. });
            for register in written(*op).into_iter().flatten() {
                if works || in_part || !matches!(read(state, register)?, Held::Value) {
                    write(state, register, Held::Nothing)?;
                }
            }
        }
        self.heads.insert(at, state.to_vec());
        Ok(())
    }

    /// Control goes back to the head of a loop, where nothing may be missing that was there.
    fn back(&mut self, head: Target, state: &[Held]) -> Problem {
        let head = head.0 as usize;
        if self.part.as_ref().is_some_and(|part| head <= part.begin) {
            return Err("a jump leaves a part");
        }
        self.spend(state.len())?;
        let Some(known) = self.heads.get(&head) else { return Err("a loop has no head") };
        let lost = known
            .iter()
            .zip(state)
            .any(|(known, held)| *known != Held::Nothing && known.join(*held) != *known);
        if lost { Err("a loop loses what it needs") } else { Ok(()) }
    }

    /// A part begins, which knows nothing of what is outside.
    fn enter(
        &mut self,
        at: usize,
        dst: Reg,
        id: PartId,
        end: Target,
        state: Vec<Held>,
    ) -> Result<Vec<Held>, &'static str> {
        let end = end.0 as usize;
        if self.part.is_some() {
            return Err("a part is in another");
        }
        if end <= at + 1 || end >= self.program.code.len() {
            return Err("a part does not end");
        }
        match self.parts_seen.get_mut(usize::from(id.0)) {
            Some(seen @ false) => *seen = true,
            _ => return Err("a part does not exist, or twice"),
        }
        if self.arriving.range(at + 1..end).next().is_some() {
            return Err("a jump enters a part");
        }
        let inside = vec![Held::Nothing; state.len()];
        self.part = Some(Part { id, begin: at, end, dst, outside: state });
        Ok(inside)
    }

    /// A part ends with its value, all that is known of it.
    fn leave(
        &mut self,
        op: Op,
        state: Option<Vec<Held>>,
    ) -> Result<Option<Vec<Held>>, &'static str> {
        let Some(part) = self.part.take() else { return Ok(state) };
        match op {
            Op::Remember { src, part: id } if id == part.id && src == part.dst => {}
            _ => return Err("a part does not end with its value"),
        }
        let body = self.program.code.get(part.begin..part.end).unwrap_or(&[]);
        self.spend(body.len())?;
        let mut after = part.outside;
        for op in body {
            for register in written(*op).into_iter().flatten() {
                write(&mut after, register, Held::Nothing)?;
            }
        }
        write(&mut after, part.dst, Held::Value)?;
        Ok(Some(after))
    }

    fn spend(&mut self, work: usize) -> Problem {
        self.work += work;
        if self.work > MAX_WORK { Err("it is too complex") } else { Ok(()) }
    }
}

fn join(known: &mut [Held], other: &[Held]) {
    for (known, other) in known.iter_mut().zip(other) {
        *known = known.join(*other);
    }
}

/// The registers that an instruction may change.
const fn written(op: Op) -> [Option<Reg>; 2] {
    match op {
        Op::NewList { dst } | Op::NewMap { dst } | Op::JumpIfError { dst, .. } => [Some(dst), None],
        Op::Iterate { iter, .. } => [Some(iter), None],
        Op::Next { key, value, .. } => [Some(key), Some(value)],
        op => [destination(op), None],
    }
}
