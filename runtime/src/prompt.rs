//! Rendering the messages of a prompt.
//!
//! Templates are Jinja2 as minijinja understands it, with Python's string methods. They reach no
//! file and no network; fuel bounds how long a template may run, a limit how much it may write.

use std::io;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind};
use mxcp_schemas::bundle::definition::Message;

use crate::arguments::Argument;

/// Steps that the templates of one prompt may take, at most, each.
pub const PROMPT_FUEL_STEPS: u64 = 1_000_000;
/// Templates that include, call or extend each other, at most.
const RECURSION_MAX_DEPTH: usize = 64;

/// Renders templates.
#[derive(Debug)]
pub struct Renderer {
    environment: Environment<'static>,
    max_bytes: usize,
}

/// A rendered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `user` or `assistant`
    pub role: String,
    /// its text
    pub text: String,
}

/// Why a message cannot be rendered. The words name no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// The template failed.
    #[error("message {message}, line {line}: {kind}")]
    Template {
        /// number of the message, from one
        message: usize,
        /// line of the template, from one; zero where it is not known
        line: usize,
        /// the class of the error
        kind: ErrorKind,
    },
    /// It ran for too long.
    #[error("message {0} takes more than {PROMPT_FUEL_STEPS} steps to render")]
    Fuel(usize),
    /// It wrote too much.
    #[error("the messages have more than {0} bytes when rendered (`max_template_output_bytes`)")]
    Size(usize),
}

impl Rendered {
    /// Messages as JSON, as policies on a prompt's result see them.
    pub fn to_json(messages: &[Self]) -> serde_json::Value {
        let message =
            |message: &Self| serde_json::json!({"role": message.role, "text": message.text});
        messages.iter().map(message).collect()
    }

    /// Messages from what policies left of them: one without a text is empty, one without a role
    /// is the user's.
    pub fn from_json(value: &serde_json::Value) -> Vec<Self> {
        let text = |message: &serde_json::Value, name: &str| {
            message.get(name).and_then(|value| value.as_str()).map(str::to_owned)
        };
        let message = |message| Self {
            role: text(message, "role").filter(|role| role == "assistant").unwrap_or("user".into()),
            text: text(message, "text").unwrap_or_default(),
        };
        value.as_array().into_iter().flatten().map(message).collect()
    }
}

impl Renderer {
    /// A renderer whose messages, together, have at most so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        minijinja_contrib::add_to_environment(&mut environment);
        environment.set_fuel(Some(PROMPT_FUEL_STEPS));
        environment.set_recursion_limit(RECURSION_MAX_DEPTH);
        environment.set_debug(false);
        environment.set_formatter(|out, state, value| match value.kind() {
            // As Python prints them.
            ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
            ValueKind::None => Ok(out.write_str("None")?),
            _ => minijinja::escape_formatter(out, state, value),
        });
        Self { environment, max_bytes }
    }

    /// Renders the messages of a prompt with named arguments.
    ///
    /// # Errors
    /// When a template fails or goes beyond a limit.
    pub fn render<'v>(
        &self,
        messages: &[Message],
        arguments: impl Iterator<Item = (&'v str, &'v Argument)>,
    ) -> Result<Vec<Rendered>, PromptError> {
        let context = Value::from_pairs(arguments.map(|(name, argument)| (name, value(argument))));
        let mut left = self.max_bytes;
        let render = |(i, message): (usize, &Message)| {
            let text =
                self.message(&message.template, &context, left).map_err(|fault| match fault {
                    Fault::Size => PromptError::Size(self.max_bytes),
                    Fault::Error(error) if error.kind() == ErrorKind::OutOfFuel => {
                        PromptError::Fuel(i + 1)
                    }
                    Fault::Error(error) => PromptError::Template {
                        message: i + 1,
                        line: error.line().unwrap_or(0),
                        kind: error.kind(),
                    },
                })?;
            left -= text.len();
            Ok(Rendered { role: message.role.clone(), text })
        };
        messages.iter().enumerate().map(render).collect()
    }

    fn message(&self, source: &str, context: &Value, max: usize) -> Result<String, Fault> {
        let template = self.environment.template_from_str(source).map_err(Fault::Error)?;
        let mut out = Bounded { text: Vec::new(), max, full: false };
        let rendered = template.render_captured_to(context.clone(), &mut out);
        match rendered {
            Ok(_) => Ok(String::from_utf8(out.text).unwrap_or_default()),
            Err(_) if out.full => Err(Fault::Size),
            Err(error) => Err(Fault::Error(error)),
        }
    }
}

enum Fault {
    Size,
    Error(minijinja::Error),
}

/// Text that does not grow beyond the limit.
struct Bounded {
    text: Vec<u8>,
    max: usize,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.max {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn value(argument: &Argument) -> Value {
    match argument {
        Argument::Null => Value::from(()),
        Argument::Bool(value) => Value::from(*value),
        Argument::Int(value) => Value::from(*value),
        Argument::Double(value) => Value::from(*value),
        Argument::Text(text)
        | Argument::Date(text, _)
        | Argument::Time(text, _)
        | Argument::DateTime(text, _)
        | Argument::Timestamp(text, _)
        | Argument::Duration(text, _) => Value::from(&**text),
        Argument::List(items) => items.iter().map(value).collect(),
        Argument::Object(fields) => {
            Value::from_pairs(fields.iter().map(|(name, field)| (&**name, value(field))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, arguments: &[(&str, Argument)]) -> Result<String, PromptError> {
        let message =
            Message { role: "user".into(), kind: "text".into(), template: template.into() };
        let arguments = arguments.iter().map(|(name, argument)| (*name, argument));
        let rendered = Renderer::new(1 << 20).render(&[message], arguments)?;
        Ok(rendered[0].text.clone())
    }

    fn text(text: &str) -> Argument {
        Argument::Text(text.into())
    }

    #[test]
    fn values_are_written_as_python_would() {
        let arguments = [
            ("name", text("<Ada>")),
            ("n", Argument::Int(9_007_199_254_740_993)),
            ("ok", Argument::Bool(true)),
            ("none", Argument::Null),
            ("list", Argument::List([text("a"), text("b")].into())),
            ("map", Argument::Object([("k".into(), text("v"))].into())),
        ];
        let template = "{{ name }} {{ n }} {{ ok }} {{ none }} {{ list|join('-') }} {{ map.k }} \
                        {{ name.lower() }} [{{ missing }}]";
        let expected = "<Ada> 9007199254740993 True None a-b v <ada> []";
        assert_eq!(render(template, &arguments).unwrap(), expected);
    }

    #[test]
    fn failures_name_the_place_and_no_value() {
        let error = render("a\n{{ secret.x.y }}", &[("secret", text("hunter2"))]).unwrap_err();
        assert_eq!(error.to_string(), "message 1, line 2: undefined value");
        assert!(matches!(render("{% if %}", &[]), Err(PromptError::Template { .. })));
    }

    #[test]
    fn templates_reach_no_other_template() {
        for template in ["{% include '/etc/passwd' %}", "{% import 'x' as y %}{{ y }}"] {
            assert!(matches!(render(template, &[]), Err(PromptError::Template { .. })));
        }
    }

    #[test]
    fn fuel_and_output_are_limited() {
        let forever =
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert_eq!(render(forever, &[]), Err(PromptError::Fuel(1)));
        let large = "{% for i in range(2000) %}{{ x }}{% endfor %}";
        assert_eq!(
            render(large, &[("x", text(&"y".repeat(1_000)))]),
            Err(PromptError::Size(1 << 20))
        );
    }
}
