//! Arguments of a call: from JSON to typed values, by the declarations of the endpoint.
//!
//! A value is read once. Policies, SQL, templates and the audit trail all see what was read here,
//! so none of them can understand an argument otherwise than another. Models often send the wrong
//! scalar; coercions that lose nothing are made before anybody looks.

pub mod bind;
mod read;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use mxcp_schemas::bundle::definition::{self, TypeId};

use crate::check::{Broken, Checks, Shape};
use crate::json::{self, Json, Member};

use read::{Path, Reader};
pub use value::Argument;

/// Length of one string within the arguments, at most, unless configured otherwise.
pub const ARGUMENT_STRING_MAX_BYTES: usize = 1 << 20;
/// Problems reported of one call, at most.
const PROBLEMS_MAX: usize = 10;

/// The declared parameters of an endpoint, ready to read arguments.
#[derive(Debug)]
pub struct Parameters {
    list: Box<[Parameter]>,
}

/// A declared parameter.
#[derive(Debug)]
pub struct Parameter {
    /// its name
    pub name: Box<str>,
    /// its type
    pub ty: TypeId,
    /// the value of an absent argument; `None` makes it required
    pub default: Option<Argument>,
}

/// The arguments of a call, one for each declared parameter, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    values: Box<[Argument]>,
}

/// What is wrong with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// A value and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// the parameter, with the way to the part of it that is wrong: `order.items[3].price`
    pub place: String,
    /// the rule
    pub broken: Broken,
}

/// A declaration that the compiler cannot have made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// A default that breaks the rules of its own type.
    #[error("the default of parameter `{0}` does not satisfy its type; build the bundle again")]
    Default(String),
    /// Two names that SQL does not tell apart.
    #[error("parameters `{0}` and `{1}` are the same name in SQL; build the bundle again")]
    SameName(String, String),
    /// A type that is not there.
    #[error("parameter `{0}` refers to a type that the bundle does not have; build it again")]
    Type(String),
}

impl Parameters {
    /// Prepares the parameters of an endpoint.
    ///
    /// # Errors
    /// When a default breaks the rules of its type, or two names differ only in case: SQL would be given
    /// one argument where policies saw the other.
    pub fn new(
        declared: &[definition::Parameter],
        checks: &Checks,
    ) -> Result<Self, DeclarationError> {
        for (at, parameter) in declared.iter().enumerate() {
            let same =
                |other: &&definition::Parameter| other.name.eq_ignore_ascii_case(&parameter.name);
            if let Some(other) = declared.iter().take(at).find(same) {
                let names = (other.name.clone(), parameter.name.clone());
                return Err(DeclarationError::SameName(names.0, names.1));
            }
        }
        let list = declared.iter().map(|parameter| prepare(parameter, checks));
        Ok(Self { list: list.collect::<Result<_, _>>()? })
    }

    /// The parameters of what has none.
    pub fn none() -> Self {
        Self { list: Box::default() }
    }

    /// The parameters in their order.
    pub fn list(&self) -> &[Parameter] {
        &self.list
    }

    /// Reads the arguments of a call.
    ///
    /// # Errors
    /// Everything that is wrong with them, up to a limit.
    pub fn read(
        &self,
        checks: &Checks,
        given: &[Member<'_>],
        string_max_bytes: usize,
    ) -> Result<Arguments, Problems> {
        let mut reader = Reader::new(checks, string_max_bytes);
        for (name, _) in given {
            if !self.list.iter().any(|parameter| *parameter.name == **name) {
                reader.fail(&Path::Root(name), Broken::Undeclared);
            }
        }
        let values = self.list.iter().map(|parameter| {
            let path = Path::Root(&parameter.name);
            match (json::get(given, &parameter.name), &parameter.default) {
                (None | Some(Json::Null), Some(default)) => default.clone(),
                (None, None) => {
                    reader.fail(&path, Broken::Missing);
                    Argument::Null
                }
                (Some(value), _) => reader.declared(parameter.ty, value, &path),
            }
        });
        let values: Box<[Argument]> = values.collect();
        if reader.problems.is_empty() {
            Ok(Arguments { values })
        } else {
            Err(Problems(reader.problems))
        }
    }

    /// The JSON text of an argument that was written as plain text: on a command line, in a URI,
    /// as the argument of a prompt. The declared type decides how the text is read.
    pub fn from_text(&self, checks: &Checks, name: &str, text: &str) -> String {
        let parameter = self.list.iter().find(|parameter| *parameter.name == *name);
        let shape = parameter.and_then(|p| checks.node(p.ty)).map(|node| &node.shape);
        match shape {
            Some(Shape::String(_)) | None => json::quoted(text),
            Some(_) if json::parse(text.as_bytes()).is_ok() => text.to_owned(),
            Some(_) => json::quoted(text),
        }
    }
}

/// Reads a value by a declared type without any coercion.
///
/// # Errors
/// What is wrong with it; `name` is what messages call it.
pub fn read_strictly(
    checks: &Checks,
    ty: TypeId,
    name: &str,
    value: &Json<'_>,
) -> Result<Argument, Problems> {
    let mut reader = Reader::strict(checks);
    let argument = reader.declared(ty, value, &Path::Root(name));
    if reader.problems.is_empty() { Ok(argument) } else { Err(Problems(reader.problems)) }
}

fn prepare(
    declared: &definition::Parameter,
    checks: &Checks,
) -> Result<Parameter, DeclarationError> {
    let name = &declared.name;
    if checks.node(declared.ty).is_none() {
        return Err(DeclarationError::Type(name.clone()));
    }
    let default = match &declared.default {
        None => None,
        Some(text) => {
            let wrong = || DeclarationError::Default(name.clone());
            let value = json::parse(text.as_bytes()).map_err(|_| wrong())?;
            let mut reader = Reader::new(checks, usize::MAX);
            let argument = match value {
                Json::Null => Argument::Null,
                value => reader.declared(declared.ty, &value, &Path::Root(name)),
            };
            if !reader.problems.is_empty() {
                return Err(wrong());
            }
            Some(argument)
        }
    };
    Ok(Parameter { name: name.as_str().into(), ty: declared.ty, default })
}

impl Arguments {
    /// The values in the order of the declared parameters.
    pub fn values(&self) -> &[Argument] {
        &self.values
    }
}

impl Problems {
    /// What is wrong, each with its place.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(f, "{separator}`{}` {}", problem.place, problem.broken)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
