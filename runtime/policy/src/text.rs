//! The text form of predicate code, for `mxcp inspect --ir` and snapshots.
//!
//! ```text
//!   0  %0 = user.5
//!   1  %1 = "admin"
//!   2  %2 = %0 != %1
//!   3  return %2
//! ```

use std::fmt;

use mxcp_schemas::bundle::code::{
    Const, ConstId, Op, Program, Reg, RequestSlot, Slot, USER_ATTRIBUTES,
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
        let name = |id: ConstId| match self.0.constants.get(usize::from(id.0)) {
            Some(Const::String(text)) => text.clone(),
            _ => "?".to_owned(),
        };
        match op {
            Op::Const { dst, value } => write!(f, "{} = {}", r(dst), self.constant(value)),
            Op::Load { dst, slot } => write!(f, "{} = {}", r(dst), input(slot)),
            Op::Move { dst, src } => write!(f, "{} = {}", r(dst), r(src)),
            Op::Select { dst, src, name: n } => write!(f, "{} = {}.{}", r(dst), r(src), name(n)),
            Op::SelectOptional { dst, src, name: n } => {
                write!(f, "{} = {}.?{}", r(dst), r(src), name(n))
            }
            Op::Has { dst, src, name: n } => write!(f, "{} = has({}.{})", r(dst), r(src), name(n)),
            Op::IsPresent { dst, src } => write!(f, "{} = present({})", r(dst), r(src)),
            Op::Index { dst, src, key } => write!(f, "{} = {}[{}]", r(dst), r(src), r(key)),
            Op::IndexOptional { dst, src, key } => {
                write!(f, "{} = {}[?{}]", r(dst), r(src), r(key))
            }
            Op::Not { dst, src } => write!(f, "{} = !{}", r(dst), r(src)),
            Op::Equal { dst, a, b } => write!(f, "{} = {} == {}", r(dst), r(a), r(b)),
            Op::NotEqual { dst, a, b } => write!(f, "{} = {} != {}", r(dst), r(a), r(b)),
            Op::In { dst, a, b } => write!(f, "{} = {} in {}", r(dst), r(a), r(b)),
            Op::And { dst, a, b } => write!(f, "{} = {} && {}", r(dst), r(a), r(b)),
            Op::Or { dst, a, b } => write!(f, "{} = {} || {}", r(dst), r(a), r(b)),
            Op::Call { dst, function, first, count } => {
                let called = self.0.functions.get(usize::from(function.0));
                let called = called.map_or("?", String::as_str);
                let args: Vec<String> =
                    (0..u16::from(count)).map(|i| r(Reg(first.0.saturating_add(i)))).collect();
                write!(f, "{} = {called}({})", r(dst), args.join(", "))
            }
            Op::Jump { to } => write!(f, "jump {}", to.0),
            Op::JumpIfTrue { cond, to } => write!(f, "if {} jump {}", r(cond), to.0),
            Op::JumpIfFalse { cond, to } => write!(f, "if not {} jump {}", r(cond), to.0),
            Op::JumpIfError { dst, src, to } => {
                write!(f, "if error({}) {} = it, jump {}", r(src), r(dst), to.0)
            }
            Op::NewList { dst } => write!(f, "{} = []", r(dst)),
            Op::Append { list, value } => write!(f, "{} += {}", r(list), r(value)),
            Op::AppendOptional { list, value } => write!(f, "{} += ?{}", r(list), r(value)),
            Op::NewMap { dst } => write!(f, "{} = {{}}", r(dst)),
            Op::Insert { map, key, value } => write!(f, "{}[{}] = {}", r(map), r(key), r(value)),
            Op::InsertOptional { map, key, value } => {
                write!(f, "{}[{}] = ?{}", r(map), r(key), r(value))
            }
            Op::InsertAll { map, entries } => write!(f, "{} |= {}", r(map), r(entries)),
            Op::Finish { dst } => write!(f, "finish {}", r(dst)),
            Op::Iterate { iter, src, end } => {
                write!(f, "{} = iterate {} else {}", r(iter), r(src), end.0)
            }
            Op::Next { iter, key, value, pair, end } => {
                let targets = if pair { format!("{}, {}", r(key), r(value)) } else { r(value) };
                write!(f, "{targets} = next {} else {}", r(iter), end.0)
            }
            Op::Repeat { head } => write!(f, "repeat {}", head.0),
            Op::Return { src } => write!(f, "return {}", r(src)),
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
