//! From predicate code to Cranelift's intermediate language.
//!
//! The state that [`super::shape`] found is followed along: it says for each register in which
//! variable, or where on the stack, its value is. What has no code of its own here is done by
//! [`super::helper`], in the end by the interpreter's own step.

mod compare;
mod flow;
mod logic;
mod number;
mod set;
mod text;
mod time;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, InstBuilder as _, MemFlagsData, SigRef, Signature, StackSlot, StackSlotData,
    StackSlotKind, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use mxcp_schemas::bundle::code::{FuncId, Op, Operand, Reg};

use super::context::{BUDGET, SIZE};
use super::helper;
use super::shape::{self, Shape, Shapes, State};
use crate::function::{Arithmetic, Function, Lowering};
use crate::predicate::Predicate;

/// Most arguments of a call that is compiled here.
pub(super) const MAX_ARGUMENTS: usize = 8;

/// What compiled code leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// 0 false, 1 true, 2 error
    Verdict,
    /// a value of any type, where the context says
    Value,
}

/// Writes the function of an expression.
pub(super) fn condition(builder: &mut FunctionBuilder<'_>, predicate: &Predicate, leaves: Leaves) {
    let shapes = Shapes::new(predicate);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let (context, given) = (builder.block_params(entry)[0], builder.block_params(entry)[1]);
    let bail = builder.create_block();
    builder.set_cold_block(bail);
    let registers = usize::from(predicate.registers);
    let variable = |builder: &mut FunctionBuilder<'_>, ty| -> Vec<Variable> {
        (0..registers).map(|_| builder.declare_var(ty)).collect()
    };
    let truths = variable(builder, types::I8);
    let words = variable(builder, types::I64);
    let doubles = variable(builder, types::F64);
    let ends = variable(builder, types::I64);
    let firsts = variable(builder, types::I64);
    let mut writer = Writer {
        state: vec![(Shape::None, mxcp_schemas::bundle::code::Kind::Any); registers],
        b: builder,
        predicate,
        context,
        given,
        bail,
        leaves,
        blocks: BTreeMap::new(),
        shapes: &shapes,
        truths,
        words,
        doubles,
        ends,
        firsts,
        frame: None,
        signatures: BTreeMap::new(),
        inputs: Vec::new(),
        bases: BTreeMap::new(),
        data: BTreeMap::new(),
        proved: BTreeMap::new(),
        ahead: None,
        plain: BTreeSet::new(),
        never: BTreeMap::new(),
        bodies: BTreeMap::new(),
        hints: BTreeMap::new(),
    };
    writer.all();
}

/// What the interpreter does between what is code of its own.
pub(super) fn stepped(predicate: &Predicate) -> Vec<&'static str> {
    let shapes = Shapes::new(predicate);
    let name = |op| match op {
        Op::Select { .. } => "a field of a value that is made",
        Op::Has { .. } => "has() of a value that is made",
        Op::Index { .. } => "an element of a value that is made",
        Op::Call { .. } => "a call with more arguments than 8",
        Op::SelectOptional { .. } | Op::IndexOptional { .. } => "an optional field or element",
        Op::Iterate { .. } => "a loop over a map or a value that is made",
        Op::NewMap { .. }
        | Op::Insert { .. }
        | Op::InsertOptional { .. }
        | Op::InsertAll { .. } => "a map that is made",
        _ => "a list or map that is made",
    };
    flow::stepped(predicate, &shapes).map(name).collect()
}

/// How many instructions of a condition have code of their own that is faster than the interpreter's.
pub(super) fn inline_operations(predicate: &Predicate) -> usize {
    let own = |op: &&Op| match op {
        Op::Equal { .. }
        | Op::NotEqual { .. }
        | Op::In { .. }
        | Op::Overlaps { .. }
        | Op::Within { .. }
        | Op::And { .. }
        | Op::Or { .. }
        | Op::Recall { .. }
        | Op::Next { .. }
        | Op::IsPresent { .. } => true,
        Op::Call { function, first, count, .. } => {
            // A text is tested here for a literal alone; for any other it is the function that does it.
            let arguments = predicate.argument_slice(*first, *count);
            let literal = matches!(arguments.last(), Some(Operand::Const(_)));
            let function = predicate.functions.get(usize::from(function.0));
            function.and_then(|function| function.lowering).is_some_and(|lowering| match lowering {
                Lowering::Text(_) => literal,
                Lowering::Arithmetic(_) | Lowering::Order(_) | Lowering::Size => true,
            })
        }
        _ => false,
    };
    predicate.code.iter().filter(own).count()
}

/// Where the value of an operand is.
#[derive(Debug, Clone, Copy)]
enum Held {
    /// 0 false, 1 true, 2 error
    Truth(Value),
    Int(Value),
    Double(Value),
    /// the address of a datum
    Data(Value),
    /// the address of a value
    Home(Value),
}

struct Writer<'w, 'b, 'p> {
    b: &'w mut FunctionBuilder<'b>,
    predicate: &'p Predicate,
    context: Value,
    /// the address of what the condition reads
    given: Value,
    /// leaves the code, unsure
    bail: Block,
    leaves: Leaves,
    blocks: BTreeMap<usize, Block>,
    shapes: &'w Shapes,
    state: State,
    truths: Vec<Variable>,
    words: Vec<Variable>,
    doubles: Vec<Variable>,
    /// where walks end
    ends: Vec<Variable>,
    /// where walks began
    firsts: Vec<Variable>,
    frame: Option<StackSlot>,
    signatures: BTreeMap<usize, SigRef>,
    /// where the inputs are
    inputs: Vec<Held>,
    /// where the first of each kind of them is, by the place of its address
    bases: BTreeMap<i32, Value>,
    /// the addresses that are those of data, with the tag where that is known now
    data: BTreeMap<Value, Option<u8>>,
    /// the tags that were tested on the way here
    proved: BTreeMap<Value, u8>,
    /// what an instruction leaves that was written together with the one before it
    ahead: Option<(usize, Value)>,
    /// truth values that are no errors
    plain: BTreeSet<Value>,
    /// what truth values were seen not to be on the way here, 0 or 1
    never: BTreeMap<Value, i64>,
    /// where the bodies of loops begin that walk a list
    bodies: BTreeMap<usize, Block>,
    /// how far into a map the field was found last time, for each instruction that is done again and again
    hints: BTreeMap<usize, Variable>,
}

/// Memory that code may have written, or that is there only after a test.
const MEMORY: MemFlagsData = MemFlagsData::trusted();
/// Memory of the inputs, of constants and of the context at an address that is known to be one's: it
/// does not change while code runs, so it is read once.
const INPUT: MemFlagsData = MemFlagsData::trusted().with_readonly().with_can_move();

impl Writer<'_, '_, '_> {
    fn all(&mut self) {
        self.inputs = self.predicate.inputs().iter().map(|input| self.locate(input.slot)).collect();
        self.declare_hints();
        if flow::stepped(self.predicate, self.shapes).next().is_some() {
            let frame = self.home_of(Reg(0));
            self.call(helper::begin as *const () as usize, &[frame]);
        }
        let mut reachable = true;
        for (at, op) in self.predicate.code.iter().enumerate() {
            if shape::targets_contain(self.predicate, at) {
                let Some(entry) = self.shapes.entries.get(&at) else {
                    reachable = false;
                    continue;
                };
                let block = self.block(at);
                if reachable {
                    self.agree(entry);
                    self.b.ins().jump(block, &[]);
                }
                if matches!(op, Op::Next { .. }) {
                    // Control comes back here.
                    self.b.switch_to_block(block);
                } else {
                    self.enter(block);
                }
                self.state.clone_from(entry);
                // Not all ways that lead here have seen the same.
                self.proved.clear();
                self.never.clear();
                reachable = true;
            }
            if !reachable {
                continue;
            }
            let before = self.state.clone();
            self.instruction(at, *op);
            let mut next = before;
            reachable = shape::after(self.predicate, at, *op, &mut next);
            self.state = next;
        }
        self.enter(self.bail);
        let unsure = self.b.ins().iconst(types::I8, 3);
        self.b.ins().return_(&[unsure]);
    }

    fn instruction(&mut self, at: usize, op: Op) {
        match op {
            Op::Return { src } if self.leaves == Leaves::Value => self.leave_value(src),
            Op::Return { src } => {
                let truth = self.truth(src);
                self.b.ins().return_(&[truth]);
            }
            Op::Move { dst, src } => {
                let held = self.get(src);
                self.put(dst, held);
            }
            Op::Not { dst, src } => {
                let truth = self.truth(src);
                let negated = self.negate(truth);
                self.put(dst, Held::Truth(negated));
            }
            Op::And { dst, a, b } => self.logic(at, dst, [a, b], 0),
            Op::Or { dst, a, b } => self.logic(at, dst, [a, b], 1),
            Op::Equal { dst, a, b } => {
                let same = self.equal(a, b);
                self.put(dst, Held::Truth(same));
            }
            Op::NotEqual { dst, a, b } => {
                let same = self.equal(a, b);
                let differ = self.negate(same);
                self.put(dst, Held::Truth(differ));
            }
            Op::IsPresent { dst, src } => {
                let null = self.is_null(src);
                let present = self.negate(null);
                self.put(dst, Held::Truth(present));
            }
            Op::In { dst, a, b } => {
                let found = self.contains(a, b);
                self.put(dst, Held::Truth(found));
            }
            Op::Overlaps { dst, src, set } => {
                let found = self.overlaps(src, set);
                self.put(dst, Held::Truth(found));
            }
            Op::Within { dst, src, set } => {
                let found = self.quantify(src, set, false);
                self.put(dst, Held::Truth(found));
            }
            Op::Select { dst, src, name } => self.select(at, dst, src, name),
            Op::Has { dst, src, name } => self.has(at, dst, src, name),
            Op::Index { dst, src, key } => self.index(at, dst, src, key),
            Op::Call { dst, function, first, count } => {
                let args = self.predicate.argument_slice(first, count).to_vec();
                self.invoke(at, dst, function, &args);
            }
            op => self.control(at, op),
        }
    }

    /// A function that has instructions for operands of these types; whether it was written.
    fn in_place(
        &mut self,
        at: usize,
        called: &'static Function,
        dst: Reg,
        result: Shape,
        args: &[Operand],
    ) -> bool {
        let Some(lowering) = called.lowering else { return false };
        let held = match (lowering, result, args) {
            (Lowering::Size, Shape::Int, [text]) => Held::Int(self.size_of_text(*text)),
            (Lowering::Arithmetic(of), Shape::Int, args) => {
                Held::Int(self.whole_arithmetic(of, args))
            }
            (Lowering::Arithmetic(of), Shape::Double, args) => {
                Held::Double(self.double_arithmetic(of, args))
            }
            (Lowering::Arithmetic(Arithmetic::Subtract), Shape::Home, [a, b]) => {
                return self.time_between(at, dst, *a, *b);
            }
            (Lowering::Order(order), Shape::Truth(_), [a, b]) => {
                let Some(truth) = self.order(order, called, *a, *b) else { return false };
                Held::Truth(truth)
            }
            (Lowering::Text(test), Shape::Truth(_), [a, b]) => {
                let Some(truth) = self.test_of_text(test, *a, *b) else { return false };
                Held::Truth(truth)
            }
            _ => return false,
        };
        self.put(dst, held);
        true
    }

    /// A call of a function.
    fn invoke(&mut self, at: usize, dst: Reg, function: FuncId, args: &[Operand]) {
        if let Some((when, truth)) = self.ahead.take()
            && when == at
        {
            return self.put(dst, Held::Truth(truth));
        }
        let Some(called) = self.predicate.functions.get(usize::from(function.0)).copied() else {
            return self.leave();
        };
        let mut after = self.state.clone();
        let op = self.predicate.code.get(at).copied();
        if let Some(op) = op {
            shape::after(self.predicate, at, op, &mut after);
        }
        let result = after.get(usize::from(dst.0)).map_or(Shape::Home, |(shape, _)| *shape);
        if self.in_place(at, called, dst, result, args) {
            return;
        }
        if args.len() > MAX_ARGUMENTS {
            // The interpreter does it; where a truth value is expected, it is read from its place.
            self.step(at);
            if matches!(result, Shape::Truth(_)) {
                let home = Held::Home(self.home_of(dst));
                let truth = self.truth_of(home);
                self.put(dst, Held::Truth(truth));
            }
            return;
        }
        let list = self.argument_list(args);
        let function = self.address(std::ptr::from_ref(called).addr());
        let count = self.b.ins().iconst(types::I64, args.len().cast_signed() as i64);
        if matches!(result, Shape::Truth(_)) {
            let told =
                self.call(helper::call_truth as *const () as usize, &[function, count, list]);
            let truth = self.told(told);
            self.put(dst, Held::Truth(truth));
        } else {
            let home = self.home_of(dst);
            let told =
                self.call(helper::call_value as *const () as usize, &[function, count, list, home]);
            self.told(told);
        }
    }

    /// The operands of a call as addresses beside one another.
    fn argument_list(&mut self, args: &[Operand]) -> Value {
        let slot = self.stack(args.len().max(1) * 8);
        let addresses: Vec<Value> = args.iter().map(|arg| self.tagged(*arg)).collect();
        for (offset, address) in (0_i32..).step_by(8).zip(addresses) {
            self.b.ins().stack_store(types::I64, address, slot, offset);
        }
        self.b.ins().stack_addr(types::I64, slot, 0)
    }

    /// Takes steps from the budget, and leaves the code where there are not enough.
    fn spend(&mut self, steps: Value) {
        let budget = self.b.ins().load(types::I64, MEMORY, self.context, BUDGET);
        let short = self.b.ins().icmp(IntCC::UnsignedLessThan, budget, steps);
        self.leave_if(short);
        let left = self.b.ins().isub(budget, steps);
        self.b.ins().store(MEMORY, left, self.context, BUDGET);
    }

    /// Leaves the code unless values have a tag.
    fn expect(&mut self, all: &[Held], tag: u8) {
        for held in all {
            let (Held::Data(at) | Held::Home(at)) = *held else { continue };
            if self.known_tag(at) == Some(tag) {
                continue;
            }
            let has = self.has_tag(at, tag);
            let next = self.b.create_block();
            self.b.ins().brif(has, next, &[], self.bail, &[]);
            self.enter(next);
            if matches!(held, Held::Data(_)) {
                self.proved.insert(at, tag);
            }
        }
    }

    /// Calls a helper with the context and arguments of a word each; the result is a word.
    fn call(&mut self, address: usize, args: &[Value]) -> Value {
        let signature = match self.signatures.get(&args.len()) {
            Some(signature) => *signature,
            None => {
                let mut signature = Signature::new(self.b.func.signature.call_conv);
                for _ in 0..=args.len() {
                    signature.params.push(AbiParam::new(types::I64));
                }
                signature.returns.push(AbiParam::new(types::I64));
                let reference = self.b.import_signature(signature);
                self.signatures.insert(args.len(), reference);
                reference
            }
        };
        let address = self.address(address);
        let mut all = vec![self.context];
        all.extend(args);
        let call = self.b.ins().call_indirect(signature, address, &all);
        self.b.inst_results(call)[0]
    }

    /// What a helper says: 0, 1, 2, or that only the interpreter can tell.
    fn told(&mut self, told: Value) -> Value {
        let unsure = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, told, 3);
        self.leave_if(unsure);
        self.b.ins().ireduce(types::I8, told)
    }

    /// Leaves the code, unsure, if a condition holds.
    fn leave_if(&mut self, condition: Value) {
        let next = self.b.create_block();
        self.b.ins().brif(condition, self.bail, &[], next, &[]);
        self.enter(next);
    }

    /// Leaves the code, unsure. What follows cannot be reached.
    fn leave(&mut self) {
        self.b.ins().jump(self.bail, &[]);
        let next = self.b.create_block();
        self.enter(next);
    }

    /// Lets the interpreter do an instruction on values in their homes.
    fn step(&mut self, at: usize) -> Value {
        if let Some(op) = self.predicate.code.get(at).copied() {
            let mut read = Vec::new();
            shape::read(self.predicate, op, |register| read.push(register));
            for register in read {
                self.send_home(register);
            }
        }
        let at = self.b.ins().iconst(types::I64, at.cast_signed() as i64);
        let told = self.call(helper::step as *const () as usize, &[at]);
        self.told(told)
    }

    /// Goes on in a block that nothing else will jump to.
    fn enter(&mut self, block: Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    fn address(&mut self, address: usize) -> Value {
        self.b.ins().iconst(types::I64, address.cast_signed() as i64)
    }

    fn stack(&mut self, bytes: usize) -> StackSlot {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3))
    }

    /// The address of a register's home.
    fn home_of(&mut self, register: Reg) -> Value {
        let frame = match self.frame {
            Some(frame) => frame,
            None => {
                let size = usize::try_from(SIZE).unwrap_or(0);
                let frame = self.stack(size * usize::from(self.predicate.registers).max(1));
                self.frame = Some(frame);
                frame
            }
        };
        self.b.ins().stack_addr(types::I64, frame, i32::from(register.0) * SIZE)
    }
}
