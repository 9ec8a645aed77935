//! The syntax tree: a flat arena, so that nothing about it is recursive.

use std::collections::HashMap;
use std::ops::Range;

/// An index into [`Tree::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Tree {
    /// the text
    pub text: String,
    /// all nodes, children before their parents
    pub nodes: Vec<Expr>,
    /// the whole
    pub root: ExprId,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Expr {
    /// its bytes in the text
    pub range: Range<usize>,
    /// what it is
    pub kind: Kind,
    /// longest way down to a leaf
    pub depth: u32,
}

/// What a node is. Macros are nodes of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// a literal
    Literal(Literal),
    /// a name; one that begins with a dot is looked up outside of comprehensions and containers
    Ident(String),
    /// `operand.field`, `operand.?field`
    Select {
        /// what is selected from
        operand: ExprId,
        /// the field
        field: String,
        /// its bytes
        field_range: Range<usize>,
        /// whether it was `.?`
        optional: bool,
    },
    /// `has(operand.field)`
    Has {
        /// what is selected from
        operand: ExprId,
        /// the field
        field: String,
        /// its bytes
        field_range: Range<usize>,
    },
    /// `operand[index]`, `operand[?index]`
    Index {
        /// what is looked into
        operand: ExprId,
        /// index or key
        index: ExprId,
        /// whether it was `[?`
        optional: bool,
    },
    /// `name(args)` or `target.name(args)`
    Call {
        /// the receiver
        target: Option<ExprId>,
        /// the function
        name: String,
        /// its bytes
        name_range: Range<usize>,
        /// the arguments
        args: Vec<ExprId>,
    },
    /// `!x`, `-x`
    Unary(Unary, ExprId),
    /// `a op b`
    Binary {
        /// the operator
        op: Binary,
        /// its bytes
        op_range: Range<usize>,
        /// left
        left: ExprId,
        /// right
        right: ExprId,
    },
    /// `condition ? yes : no`
    Ternary {
        /// the condition
        condition: ExprId,
        /// if true
        yes: ExprId,
        /// if false
        no: ExprId,
    },
    /// `[a, ?b]`
    List(Vec<(ExprId, bool)>),
    /// `{k: v, ?k: v}`
    Map(Vec<(ExprId, ExprId, bool)>),
    /// a macro that walks a list or map
    Comprehension {
        /// which
        kind: Comprehension,
        /// what is walked
        over: ExprId,
        /// one or two variables
        variables: Vec<String>,
        /// a condition on what is taken, for those that have one
        filter: Option<ExprId>,
        /// what is computed for each
        body: ExprId,
    },
    /// `cel.bind(name, value, body)`
    Bind {
        /// the variable
        name: String,
        /// its value
        value: ExprId,
        /// where it is known
        body: ExprId,
    },
    /// what could not be parsed and was reported
    Invalid,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are CEL's")]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// Operators of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `!`
    Not,
    /// `-`
    Minus,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say which operators they are")]
pub enum Binary {
    Or,
    And,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Binary {
    /// As it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    /// How tightly it binds.
    pub const fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::Equal
            | Self::NotEqual
            | Self::In => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo => 5,
        }
    }

    /// The name of its function in the registry, for those that are functions.
    pub const fn function(self) -> Option<&'static str> {
        match self {
            Self::Less => Some("_<_"),
            Self::LessEqual => Some("_<=_"),
            Self::Greater => Some("_>_"),
            Self::GreaterEqual => Some("_>=_"),
            Self::Add => Some("_+_"),
            Self::Subtract => Some("_-_"),
            Self::Multiply => Some("_*_"),
            Self::Divide => Some("_/_"),
            Self::Modulo => Some("_%_"),
            _ => None,
        }
    }
}

/// The macros that walk a list or map, or what an optional holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CEL's")]
pub enum Comprehension {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformList,
    TransformMap,
    TransformMapEntry,
    OptMap,
    OptFlatMap,
}

impl Tree {
    /// A node. The root stands for one that does not exist, which the parser never makes.
    pub fn get(&self, id: ExprId) -> &Expr {
        static NONE: Expr = Expr { range: 0..0, kind: Kind::Invalid, depth: 0 };
        self.nodes.get(id.0 as usize).unwrap_or(&NONE)
    }

    /// The text of a node.
    pub fn source(&self, id: ExprId) -> &str {
        self.text.get(self.get(id).range.clone()).unwrap_or("")
    }

    /// The path of names that a node is, as in `user.address.street`, for messages.
    pub fn path(&self, id: ExprId) -> Option<String> {
        match &self.get(id).kind {
            Kind::Ident(name) => Some(name.clone()),
            Kind::Select { operand, field, optional: false, .. } => {
                Some(format!("{}.{field}", self.path(*operand)?))
            }
            Kind::Index { operand, index, optional: false } => match &self.get(*index).kind {
                Kind::Literal(Literal::String(key)) => {
                    Some(format!("{}.{key}", self.path(*operand)?))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// A path of names, by number: equal paths have equal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

/// The paths of names in a tree, numbered once so that comparing them costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// for each node the path that it is, or that it asks for if it is a `has`
    of: Vec<Option<PathId>>,
    /// for each path its first name
    roots: Vec<PathId>,
    known: HashMap<(Option<PathId>, String), PathId>,
}

impl Paths {
    /// Numbers the paths of a tree.
    pub fn new(tree: &Tree) -> Self {
        let mut paths = Self::default();
        for node in &tree.nodes {
            let path = match &node.kind {
                Kind::Ident(name) => Some((None, name.as_str())),
                Kind::Select { operand, field, optional: false, .. }
                | Kind::Has { operand, field, .. } => {
                    paths.plain(tree, *operand).map(|path| (Some(path), field.as_str()))
                }
                Kind::Index { operand, index, optional: false } => {
                    match (&tree.get(*index).kind, paths.plain(tree, *operand)) {
                        (Kind::Literal(Literal::String(key)), Some(path)) => {
                            Some((Some(path), key.as_str()))
                        }
                        _ => None,
                    }
                }
                _ => None,
            };
            let id = path.map(|(parent, name)| paths.number(parent, name));
            paths.of.push(id);
        }
        paths
    }

    fn plain(&self, tree: &Tree, id: ExprId) -> Option<PathId> {
        if matches!(tree.get(id).kind, Kind::Has { .. }) { None } else { self.of(id) }
    }

    fn number(&mut self, parent: Option<PathId>, name: &str) -> PathId {
        let next = PathId(u32::try_from(self.roots.len()).unwrap_or(u32::MAX));
        let id = *self.known.entry((parent, name.to_owned())).or_insert(next);
        if id == next {
            let root = parent.and_then(|p| self.roots.get(p.0 as usize)).copied();
            self.roots.push(root.unwrap_or(next));
        }
        id
    }

    /// The path that a node is, or that it asks for if it is a `has`.
    pub fn of(&self, id: ExprId) -> Option<PathId> {
        self.of.get(id.0 as usize).copied().flatten()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The paths that begin with a name.
    pub fn below(&self, name: &str) -> impl Iterator<Item = PathId> {
        let root = self.known.get(&(None, name.to_owned())).copied();
        let all = (0_u32..).map(PathId).zip(&self.roots);
        all.filter_map(move |(id, first)| (Some(*first) == root).then_some(id))
    }
}
