//! The text form of predicate code, for `mxcp inspect --ir` and snapshots.
//!
//! ```text
//!   0  %0 = user.role != "admin"
//!   1  return %0
//! ```

use std::fmt;

use mxcp_schemas::bundle::code::{
    Const, ConstId, Op, Operand, Program, Reg, RequestSlot, Slot, USER_ATTRIBUTES,
};

/// A program as text.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'p>(pub &'p Program);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, op) in self.0.code.iter().enumerate() {
            write!(f, "{at:>3}  ")?;
            self.op(f, *op)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Listing<'_> {
    fn op(self, f: &mut fmt::Formatter<'_>, op: Op) -> fmt::Result {
        let r = |register: Reg| format!("%{}", register.0);
        let o = |operand: Operand| self.operand(operand);
        match op {
            Op::Move { dst, src } => write!(f, "{} = {}", r(dst), o(src)),
            Op::IsPresent { dst, src } => write!(f, "{} = present({})", r(dst), o(src)),
            Op::Index { dst, src, key } => write!(f, "{} = {}[{}]", r(dst), o(src), o(key)),
            Op::IndexOptional { dst, src, key } => {
                write!(f, "{} = {}[?{}]", r(dst), o(src), o(key))
            }
            Op::Not { dst, src } => write!(f, "{} = !{}", r(dst), o(src)),
            Op::Equal { dst, a, b } => write!(f, "{} = {} == {}", r(dst), o(a), o(b)),
            Op::NotEqual { dst, a, b } => write!(f, "{} = {} != {}", r(dst), o(a), o(b)),
            Op::In { dst, a, b } => write!(f, "{} = {} in {}", r(dst), o(a), o(b)),
            Op::And { dst, a, b } => write!(f, "{} = {} && {}", r(dst), o(a), o(b)),
            Op::Or { dst, a, b } => write!(f, "{} = {} || {}", r(dst), o(a), o(b)),
            Op::Call { dst, function, first, count } => {
                let called = self.0.functions.get(usize::from(function.0));
                let called = called.map_or("?", String::as_str);
                let first = usize::from(first);
                let args = self.0.arguments.get(first..first + usize::from(count));
                let args: Vec<String> = args.unwrap_or(&[]).iter().map(|arg| o(*arg)).collect();
                write!(f, "{} = {called}({})", r(dst), args.join(", "))
            }
            Op::Jump { to } => write!(f, "jump {}", to.0),
            Op::JumpIfTrue { cond, to } => write!(f, "if {} jump {}", o(cond), to.0),
            Op::JumpIfFalse { cond, to } => write!(f, "if !{} jump {}", o(cond), to.0),
            Op::JumpIfError { dst, src, to } => {
                write!(f, "if error {} = {} jump {}", r(dst), o(src), to.0)
            }
            Op::Recall { dst, part, end } => {
                write!(f, "if remembered {} = part {} jump {}", r(dst), part.0, end.0)
            }
            Op::Remember { src, part } => write!(f, "remember part {} = {}", part.0, r(src)),
            Op::Return { src } => write!(f, "return {}", o(src)),
            op => self.less_common(f, op),
        }
    }

    /// Fields, lists, maps and loops.
    fn less_common(self, f: &mut fmt::Formatter<'_>, op: Op) -> fmt::Result {
        let r = |register: Reg| format!("%{}", register.0);
        let o = |operand: Operand| self.operand(operand);
        let name = |id: ConstId| match self.0.constants.get(usize::from(id.0)) {
            Some(Const::String(text)) => text.clone(),
            _ => "?".to_owned(),
        };
        match op {
            Op::Select { dst, src, name: n } => write!(f, "{} = {}.{}", r(dst), o(src), name(n)),
            Op::SelectOptional { dst, src, name: n } => {
                write!(f, "{} = {}.?{}", r(dst), o(src), name(n))
            }
            Op::Has { dst, src, name: n } => write!(f, "{} = has({}.{})", r(dst), o(src), name(n)),
            Op::Overlaps { dst, src, set } => {
                write!(f, "{} = any of {} in {}", r(dst), o(src), self.constant(set))
            }
            Op::Within { dst, src, set } => {
                write!(f, "{} = all of {} in {}", r(dst), o(src), self.constant(set))
            }
            Op::NewList { dst } => write!(f, "{} = []", r(dst)),
            Op::Append { list, value } => write!(f, "{} += {}", r(list), o(value)),
            Op::AppendOptional { list, value } => write!(f, "{} += ?{}", r(list), o(value)),
            Op::NewMap { dst } => write!(f, "{} = {{}}", r(dst)),
            Op::Insert { map, key, value } => write!(f, "{}[{}] = {}", r(map), o(key), o(value)),
            Op::InsertOptional { map, key, value } => {
                write!(f, "{}[{}] = ?{}", r(map), o(key), o(value))
            }
            Op::InsertAll { map, entries } => write!(f, "{} |= {}", r(map), o(entries)),
            Op::Finish { dst } => write!(f, "finish {}", r(dst)),
            Op::Iterate { iter, src, end } => {
                write!(f, "{} = iterate {} else {}", r(iter), o(src), end.0)
            }
            Op::Next { iter, key, value, pair, end } => {
                let targets = if pair { format!("{}, {}", r(key), r(value)) } else { r(value) };
                write!(f, "{targets} = next {} else {}", r(iter), end.0)
            }
            Op::Repeat { head } => write!(f, "repeat {}", head.0),
            _ => f.write_str("?"),
        }
    }

    fn operand(self, operand: Operand) -> String {
        match operand {
            Operand::Reg(register) => format!("%{}", register.0),
            Operand::Const(id) => self.constant(id),
            Operand::Input(id) => {
                self.0.inputs.get(usize::from(id.0)).map_or("?".to_owned(), |i| input(i.slot))
            }
        }
    }

    fn constant(self, id: ConstId) -> String {
        match self.0.constants.get(usize::from(id.0)) {
            Some(Const::Null) => "null".to_owned(),
            Some(Const::Bool(value)) => value.to_string(),
            Some(Const::Int(value)) => value.to_string(),
            Some(Const::Uint(value)) => format!("{value}u"),
            Some(Const::Double(value)) => format!("{value:?}"),
            Some(Const::String(text)) => format!("{text:?}"),
            Some(Const::Bytes(bytes)) => format!("b{:?}", String::from_utf8_lossy(bytes)),
            Some(Const::Timestamp(seconds, nanos)) => format!("timestamp({seconds}, {nanos})"),
            Some(Const::Duration(seconds, nanos)) => format!("duration({seconds}, {nanos})"),
            Some(Const::Type(name)) => format!("type {name}"),
            Some(Const::List(items)) => {
                let items: Vec<String> = items.iter().map(|i| self.below(id, *i)).collect();
                format!("[{}]", items.join(", "))
            }
            Some(Const::Map(entries)) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(k, v)| format!("{}: {}", self.below(id, *k), self.below(id, *v)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            None => "?".to_owned(),
        }
    }

    /// A part of a literal; one that does not come before it would never end.
    fn below(self, whole: ConstId, part: ConstId) -> String {
        if part < whole { self.constant(part) } else { "?".to_owned() }
    }
}

fn input(slot: Slot) -> String {
    match slot {
        Slot::User(index) => match USER_ATTRIBUTES.get(usize::from(index)) {
            Some(name) => format!("user.{name}"),
            None => format!("user.{index}"),
        },
        Slot::UserMap => "user".to_owned(),
        Slot::Param(index) => format!("param {index}"),
        Slot::Response => "response".to_owned(),
        Slot::Request(RequestSlot::Time) => "request.time".to_owned(),
        Slot::Request(RequestSlot::Tool) => "request.tool".to_owned(),
        Slot::Request(RequestSlot::SessionId) => "request.session_id".to_owned(),
        Slot::Request(RequestSlot::ClientIp) => "request.client.ip".to_owned(),
    }
}
