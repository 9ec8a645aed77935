//! Predicate code: the typed, flat form in which a condition is stored in a bundle.
//!
//! A program is a list of instructions over numbered registers. Every register holds a CEL value
//! or an error; an instruction whose operand is an error yields that error, except for those that
//! say otherwise (`And`, `Or`, the conditional jumps). Control moves forward only, but for the one
//! backward edge of a loop, [`Op::Next`], so every program ends after a number of steps that its
//! inputs bound. It can never become machine code on the way: a bundle is data.
//!
//! What the type checker knows is noted beside inputs and instructions as a [`Kind`]. Nothing rests
//! on it: whoever wants to use it tests first whether it is so.

use rkyv::{Archive, Deserialize, Serialize};

/// A register of a program's frame.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct Reg(pub u16);

/// An index into [`Program::constants`].
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct ConstId(pub u16);

/// An index into [`Program::functions`].
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct FuncId(pub u16);

/// The index of an instruction: where a jump goes.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct Target(pub u32);

/// An index into [`Program::inputs`].
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct InputId(pub u16);

/// The number of a part of a condition that depends on the caller alone, from 0.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct PartId(pub u16);

/// What an instruction reads.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Operand {
    /// what a register holds
    Reg(Reg),
    /// a literal
    Const(ConstId),
    /// an input; one that is absent is an error value
    Input(InputId),
}

/// What the type checker expects a value to be. A hint: nothing may rest on it.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[expect(missing_docs, reason = "the names are CEL's")]
pub enum Kind {
    /// nothing is known
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List,
    Map,
    Type,
    Optional,
}

/// An input of a program and what it is expected to be.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct Input {
    /// where it comes from
    pub slot: Slot,
    /// what the checker expects, null aside
    pub kind: Kind,
}

/// An input that a program reads, laid out by the compiler.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Slot {
    /// An attribute of the caller: first those of [`USER_ATTRIBUTES`], then the declared ones in
    /// the order of the manifest.
    User(u16),
    /// The caller as a whole, a map from attribute names to values.
    UserMap,
    /// A declared parameter of the endpoint, in the order of its declaration.
    Param(u16),
    /// The endpoint's result, before any field action.
    Response,
    /// A property of the request.
    Request(RequestSlot),
}

impl Slot {
    /// What a program depends on that reads it.
    pub const fn depends(self) -> Depends {
        Depends {
            user: matches!(self, Self::User(_) | Self::UserMap),
            params: matches!(self, Self::Param(_)),
            response: matches!(self, Self::Response),
            request: matches!(self, Self::Request(_)),
        }
    }
}

/// What a program may know about the request that carries the call.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum RequestSlot {
    /// `request.time` and `now()`: one instant per call.
    Time,
    /// `request.tool`: the endpoint's name or URI template.
    Tool,
    /// `request.session_id`, null where there is no session.
    SessionId,
    /// `request.client.ip`, null where it is not known.
    ClientIp,
}

/// The built-in attributes of `user`, in slot order.
pub const USER_ATTRIBUTES: [&str; 10] = [
    "user_id",
    "username",
    "email",
    "name",
    "provider",
    "role",
    "permissions",
    "capabilities",
    "groups",
    "claims",
];

/// A literal, or what constant folding made of an expression.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub enum Const {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// 64-bit signed integer
    Int(i64),
    /// 64-bit unsigned integer
    Uint(u64),
    /// IEEE 754 double
    Double(f64),
    /// text
    String(String),
    /// octets
    Bytes(Vec<u8>),
    /// seconds since the epoch and nanoseconds of that second
    Timestamp(i64, u32),
    /// seconds and nanoseconds, both of the same sign
    Duration(i64, i32),
    /// a type denoted by its name
    Type(String),
    /// a list of other constants of the program
    List(Vec<ConstId>),
    /// a map of other constants of the program
    Map(Vec<(ConstId, ConstId)>),
}

/// One instruction. `dst` is written; everything else is read.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `dst = src`
    Move {
        /// result
        dst: Reg,
        /// operand
        src: Operand,
    },
    /// `dst = src.name`; a missing key is an error, on an optional it stays optional.
    Select {
        /// result
        dst: Reg,
        /// map or optional
        src: Operand,
        /// a string constant
        name: ConstId,
    },
    /// `dst = src.?name`: an optional.
    SelectOptional {
        /// result
        dst: Reg,
        /// map or optional
        src: Operand,
        /// a string constant
        name: ConstId,
    },
    /// `dst = has(src.name)`
    Has {
        /// result
        dst: Reg,
        /// map or optional
        src: Operand,
        /// a string constant
        name: ConstId,
    },
    /// `dst = (src != null)`: presence of an input that is null when absent.
    IsPresent {
        /// result
        dst: Reg,
        /// operand
        src: Operand,
    },
    /// `dst = src[key]`
    Index {
        /// result
        dst: Reg,
        /// list, map or optional
        src: Operand,
        /// index or key
        key: Operand,
    },
    /// `dst = src[?key]`: an optional.
    IndexOptional {
        /// result
        dst: Reg,
        /// list, map or optional
        src: Operand,
        /// index or key
        key: Operand,
    },
    /// `dst = !src`
    Not {
        /// result
        dst: Reg,
        /// operand
        src: Operand,
    },
    /// `dst = a == b` over any types (CEL's heterogeneous equality).
    Equal {
        /// result
        dst: Reg,
        /// left
        a: Operand,
        /// right
        b: Operand,
    },
    /// `dst = a != b`
    NotEqual {
        /// result
        dst: Reg,
        /// left
        a: Operand,
        /// right
        b: Operand,
    },
    /// `dst = a in b` for a list or the keys of a map.
    In {
        /// result
        dst: Reg,
        /// element
        a: Operand,
        /// list or map
        b: Operand,
    },
    /// `dst = src.exists(x, x in set)`, with `set` a constant list.
    Overlaps {
        /// result
        dst: Reg,
        /// list or map
        src: Operand,
        /// a constant list
        set: ConstId,
    },
    /// `dst = src.all(x, x in set)`, with `set` a constant list.
    Within {
        /// result
        dst: Reg,
        /// list or map
        src: Operand,
        /// a constant list
        set: ConstId,
    },
    /// `dst = a && b`, where `false` on either side outweighs an error on the other.
    And {
        /// result
        dst: Reg,
        /// left
        a: Operand,
        /// right
        b: Operand,
    },
    /// `dst = a || b`, where `true` on either side outweighs an error on the other.
    Or {
        /// result
        dst: Reg,
        /// left
        a: Operand,
        /// right
        b: Operand,
    },
    /// Calls a function on `count` operands that begin at `first` of [`Program::arguments`].
    Call {
        /// result
        dst: Reg,
        /// which overload
        function: FuncId,
        /// first argument
        first: u16,
        /// number of arguments
        count: u8,
    },
    /// Continues at `to`, which lies ahead.
    Jump {
        /// where
        to: Target,
    },
    /// Continues at `to` when `cond` is `true`; any other value, errors included, falls through.
    JumpIfTrue {
        /// operand
        cond: Operand,
        /// where, ahead
        to: Target,
    },
    /// Continues at `to` when `cond` is `false`; any other value, errors included, falls through.
    JumpIfFalse {
        /// operand
        cond: Operand,
        /// where, ahead
        to: Target,
    },
    /// Continues at `to` when `src` is an error or not a bool, storing that error in `dst`
    /// (the condition of `?:`).
    JumpIfError {
        /// receives the error
        dst: Reg,
        /// operand
        src: Operand,
        /// where, ahead
        to: Target,
    },
    /// Begins a part that depends on the caller alone and ends before `end`: where its value is
    /// remembered, that is stored in `dst` and control continues at `end`.
    Recall {
        /// result
        dst: Reg,
        /// which part
        part: PartId,
        /// the instruction after the part
        end: Target,
    },
    /// Ends a part: `src`, a bool or an error, may be remembered for this caller. Anything that is
    /// no bool is an error.
    Remember {
        /// the value of the part
        src: Reg,
        /// which part
        part: PartId,
    },
    /// Begins a list with room for the values that `Append` adds.
    NewList {
        /// the list under construction
        dst: Reg,
    },
    /// Adds `value` to the list that `list` builds; an error makes the whole list that error.
    Append {
        /// the list under construction
        list: Reg,
        /// element
        value: Operand,
    },
    /// Adds what the optional `value` holds, if anything.
    AppendOptional {
        /// the list under construction
        list: Reg,
        /// element
        value: Operand,
    },
    /// Begins a map.
    NewMap {
        /// the map under construction
        dst: Reg,
    },
    /// Adds an entry; a repeated key or one of a wrong type is an error.
    Insert {
        /// the map under construction
        map: Reg,
        /// key
        key: Operand,
        /// value
        value: Operand,
    },
    /// Adds an entry for what the optional `value` holds, if anything.
    InsertOptional {
        /// the map under construction
        map: Reg,
        /// key
        key: Operand,
        /// value
        value: Operand,
    },
    /// Adds every entry of the map `entries` (`transformMapEntry`).
    InsertAll {
        /// the map under construction
        map: Reg,
        /// entries to add
        entries: Operand,
    },
    /// Ends a list or map under construction and makes it a value.
    Finish {
        /// the list or map under construction, and the value it becomes
        dst: Reg,
    },
    /// Begins a loop over the elements of a list or the keys of a map in `src`. The iterator lives
    /// in `iter`; anything else leaves an error in `iter` and continues at `end`.
    Iterate {
        /// the iterator
        iter: Reg,
        /// list or map
        src: Operand,
        /// the instruction after the loop
        end: Target,
    },
    /// The head of a loop: stores the next key (or index) in `key` and the next value in `value`
    /// or continues at `end` when there is none. For one variable over a list the element is in
    /// `value`; over a map the key is.
    Next {
        /// the iterator
        iter: Reg,
        /// index or key; written only with two variables
        key: Reg,
        /// element, or the map's value with two variables
        value: Reg,
        /// whether the loop has two variables
        pair: bool,
        /// the instruction after the loop
        end: Target,
    },
    /// Goes back to the loop head at `head`, which is a [`Op::Next`].
    Repeat {
        /// the loop head
        head: Target,
    },
    /// Ends the program with the value of `src`.
    Return {
        /// result
        src: Operand,
    },
}

impl Op {
    /// Where the instruction may let control go on, other than to the next one.
    pub const fn target(self) -> Option<Target> {
        match self {
            Self::Jump { to }
            | Self::Repeat { head: to }
            | Self::JumpIfTrue { to, .. }
            | Self::JumpIfFalse { to, .. }
            | Self::JumpIfError { to, .. }
            | Self::Recall { end: to, .. }
            | Self::Iterate { end: to, .. }
            | Self::Next { end: to, .. } => Some(to),
            _ => None,
        }
    }
}

/// A condition, compiled.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Program {
    /// Number of registers of the frame.
    pub registers: u16,
    /// What it reads from outside.
    pub inputs: Vec<Input>,
    /// Literals; a list or map refers only to constants before itself.
    pub constants: Vec<Const>,
    /// Overload ids as the function registry knows them, so that a bundle names what it calls.
    pub functions: Vec<String>,
    /// The arguments of calls.
    pub arguments: Vec<Operand>,
    /// Number of parts that depend on the caller alone.
    pub parts: u16,
    /// The instructions.
    pub code: Vec<Op>,
    /// For each instruction what the checker expects it to make.
    pub kinds: Vec<Kind>,
    /// For each instruction the byte range of the sub-expression in the condition's text.
    pub spans: Vec<(u32, u32)>,
    /// What the result depends on.
    pub depends: Depends,
    /// Worst-case cost in steps, as the compiler computed it from the declared bounds.
    pub cost: u64,
}

/// What the value of a program depends on; what depends on the caller alone is evaluated once per
/// token and remembered.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depends {
    /// on the caller
    pub user: bool,
    /// on the arguments
    pub params: bool,
    /// on the result
    pub response: bool,
    /// on the request or the time
    pub request: bool,
}

impl Depends {
    /// Whether the value is the same for every call of one caller.
    pub const fn caller_only(self) -> bool {
        !(self.params || self.response || self.request)
    }

    /// What depends on either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            user: self.user || other.user,
            params: self.params || other.params,
            response: self.response || other.response,
            request: self.request || other.request,
        }
    }
}
