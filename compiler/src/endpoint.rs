//! One endpoint file: its document, its policies, its body, its schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::definition::{
    Endpoint as Stored, Kind, Parameter as StoredParameter, Policy as StoredPolicy, Predicates,
    TypeId, Types,
};
use mxcp_schemas::bundle::plan::Plan;
use mxcp_schemas::diagnostic::{Diagnostic, Span};
use mxcp_schemas::document::endpoint::{Body, Endpoint, File, Language, Policy, Test};
use mxcp_schemas::document::ty::Type;
use mxcp_schemas::yaml::Comment;

use crate::analysis::Facts;
use crate::body::{self, Loaded, Rules};
use crate::cel::Environment;
use crate::cel::shape::Shape;
use crate::lint::{self, Subject, Word, words};
use crate::policy::{self, Checked, Context, Stage};
use crate::project::{PARAMETER_NAMED_USER, PARAMETER_SHADOWS};
use crate::source::Files;
use crate::types::Store;
use crate::{publish, types, waiver};

/// An endpoint on its way into the bundle.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    /// its file
    pub(crate) file: Arc<str>,
    /// the text of its file
    pub(crate) text: Arc<str>,
    /// all comments of its file; waivers are among them
    pub(crate) comments: Vec<Comment>,
    /// what was read
    pub(crate) document: Endpoint,
    /// what it executes, if that is good
    pub(crate) body: Option<Loaded>,
    /// input policies, those that are good
    pub(crate) input: Vec<Checked>,
    /// output policies, those that are good
    pub(crate) output: Vec<Checked>,
    /// stored types of the parameters and of the result
    pub(crate) parameters: Vec<TypeId>,
    /// stored type of the result
    pub(crate) result: Option<TypeId>,
    /// what its conditions compare attributes of the caller with
    pub(crate) words: Vec<Word>,
}

/// What all endpoints of a project share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) rules: Rules<'a>,
    /// declared attributes of `user`; `None` where the site file could not be read
    pub(crate) attributes: Option<&'a [(String, Ty)]>,
    /// what is declared about them beyond their types
    pub(crate) user_shape: &'a Arc<Shape>,
}

/// An endpoint as it was written, its types stored.
pub(crate) struct Written {
    file: Arc<str>,
    text: Arc<str>,
    read: File,
    parameters: Vec<TypeId>,
    result: Option<TypeId>,
}

impl Written {
    /// Stores the types of an endpoint.
    pub(crate) fn new(file: Arc<str>, text: Arc<str>, read: File, types: &mut Store) -> Self {
        let document = &read.endpoint;
        let parameters = document.parameters.iter().map(|p| types.add(&p.ty)).collect();
        let result = document.result.as_ref().map(|ty| types.add(ty));
        Self { file, text, read, parameters, result }
    }

    /// Whether it executes SQL.
    pub(crate) fn has_sql(&self) -> bool {
        matches!(&self.read.endpoint.body, Body::Source(source) if source.language == Language::Sql)
    }
}

/// Compiles one endpoint as far as it is good.
pub(crate) fn compile(
    shared: &Shared<'_>,
    written: Written,
    types: &Types,
    texts: &mut BTreeMap<Arc<str>, Arc<str>>,
    found: &mut Vec<Diagnostic>,
) -> Compiled {
    let Written { file, text, read, parameters, result } = written;
    let document = read.endpoint;
    let (file, text) = (&file, &text);
    let mut own = Vec::new();
    check_names(file, &document, &mut own);
    let input_environment = environment(shared, &document, Stage::Input);
    let output_environment = environment(shared, &document, Stage::Output);
    let mut read_conditions = Vec::new();
    let mut stage = |stage: Stage, environment: &Environment, policies: &[Policy]| {
        let context =
            Context { file, text, types, result, declared: document.result.as_ref(), environment };
        let compiled = policies.iter().enumerate();
        let mut checked = Vec::with_capacity(policies.len());
        for (policy, condition) in
            compiled.filter_map(|(i, p)| policy::compile(&context, stage, i, p, &mut own))
        {
            checked.push(policy);
            read_conditions.push(condition);
        }
        checked
    };
    let input = stage(Stage::Input, &input_environment, &document.policies.input);
    let output = stage(Stage::Output, &output_environment, &document.policies.output);
    let body = body::load(shared.files, &shared.rules, (file, text), &document, texts, &mut own);
    let compiled = Compiled {
        file: Arc::clone(file),
        text: Arc::clone(text),
        comments: read.comments,
        document,
        body,
        input,
        output,
        parameters,
        result,
        words: read_conditions.iter().flat_map(|condition| words(text, condition)).collect(),
    };
    let declared: Vec<&Type> = compiled.document.parameters.iter().map(|p| &p.ty).collect();
    let facts = Facts {
        environment: &output_environment,
        parameters: &declared,
        result: compiled.document.result.as_ref(),
    };
    let subject = Subject::new(&compiled, &read_conditions, facts);
    for lint in lint::LINTS {
        own.extend((lint.check)(&subject));
    }
    found.extend(own);
    compiled
}

fn check_names(file: &Arc<str>, document: &Endpoint, found: &mut Vec<Diagnostic>) {
    for parameter in &document.parameters {
        let name = &parameter.name;
        match name.value.as_str() {
            "user" => found.push(
                Diagnostic::new(
                    &PARAMETER_NAMED_USER,
                    file,
                    name.span,
                    "a parameter cannot be named `user`",
                )
                .help("conditions would read what the client sent instead of who it is; rename it"),
            ),
            "response" | "request" => {
                let message =
                    format!("the parameter hides the variable `{}` in conditions", name.value);
                found.push(Diagnostic::new(&PARAMETER_SHADOWS, file, name.span, message));
            }
            _ => {}
        }
    }
}

/// What the conditions of one stage see.
fn environment(shared: &Shared<'_>, document: &Endpoint, stage: Stage) -> Environment {
    let parameter = |ty: &Type, name: &str| {
        let seen = types::in_conditions(ty, name);
        let nullable = ty.default.as_ref().is_some_and(|d| d.value.is_null());
        if nullable { seen.nullable() } else { seen }
    };
    let response =
        document.result.as_ref().map_or(Ty::Dyn, |ty| types::in_conditions(ty, "response"));
    let mut shapes: BTreeMap<String, Arc<Shape>> = document
        .parameters
        .iter()
        .map(|p| (p.name.value.clone(), types::shape(&p.ty, &p.name.value)))
        .collect();
    shapes.insert("user".to_owned(), Arc::clone(shared.user_shape));
    if let (Stage::Output, Some(result)) = (stage, &document.result) {
        shapes.entry("response".to_owned()).or_insert_with(|| types::shape(result, "response"));
    }
    Environment {
        user: Some(
            shared
                .attributes
                .map_or_else(Environment::unknown_user_record, Environment::user_record),
        ),
        params: document
            .parameters
            .iter()
            .map(|p| (p.name.value.clone(), parameter(&p.ty, &p.name.value)))
            .collect(),
        response: (stage == Stage::Output).then_some(response),
        request: true,
        shapes,
        ..Environment::default()
    }
}

impl Compiled {
    /// What clients call it by.
    pub(crate) fn identity(&self) -> &str {
        &self.document.identity.value
    }

    /// What stays of the findings about its file after waivers.
    pub(crate) fn waive(&self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let policies = &self.document.policies;
        let places: Vec<Span> =
            policies.input.iter().chain(&policies.output).map(|p| p.span).collect();
        waiver::apply(&self.file, &self.text, &self.comments, &places, found)
    }

    /// Whether every policy of the document compiled, so that what the others do is all that is done.
    pub(crate) fn is_whole(&self) -> bool {
        let written = &self.document.policies;
        self.input.len() == written.input.len()
            && self.output.len() == written.output.len()
            && self.document.result.as_ref().is_none_or(|ty| !ty.is_broken())
    }

    /// Tests of the definition.
    pub(crate) fn tests(&self) -> &[Test] {
        &self.document.tests
    }

    /// What its output policies may do to a result.
    pub(crate) fn plans(&self) -> Vec<&Plan> {
        self.output.iter().filter_map(|p| p.plan.as_ref()).collect()
    }

    /// The endpoint as the bundle stores it. Programs and plans that are stored already are shared.
    pub(crate) fn store(&self, predicates: &mut Predicates) -> Option<Stored> {
        let document = &self.document;
        let body = self.body.as_ref()?;
        let plans = self.plans();
        let output_schema = document
            .result
            .as_ref()
            .filter(|_| document.kind == Kind::Tool)
            .map(|ty| publish::output(ty, &plans).to_string());
        Some(Stored {
            kind: document.kind,
            identity: document.identity.value.clone(),
            title: document
                .title
                .clone()
                .or_else(|| document.name.as_ref().map(|name| name.value.clone())),
            description: document.description.as_ref().map(|d| d.value.clone()),
            tags: document.tags.iter().map(|t| t.value.clone()).collect(),
            annotations: document.annotations,
            mime_type: document.mime_type.as_ref().map(|m| m.value.clone()),
            parameters: document
                .parameters
                .iter()
                .zip(&self.parameters)
                .map(|(p, ty)| StoredParameter {
                    name: p.name.value.clone(),
                    description: p.ty.description.clone(),
                    ty: *ty,
                    default: p.ty.default.as_ref().map(|d| d.value.to_string()),
                })
                .collect(),
            result: self.result,
            body: body.stored.clone(),
            input: self.input.iter().map(|p| store_policy(p, predicates)).collect(),
            output: self.output.iter().map(|p| store_policy(p, predicates)).collect(),
            input_schema: publish::input(&document.parameters).to_string(),
            output_schema,
            file: self.file.to_string(),
        })
    }
}

fn store_policy(policy: &Checked, predicates: &mut Predicates) -> StoredPolicy {
    StoredPolicy {
        name: policy.name.clone(),
        action: policy.action.name.to_owned(),
        reason: policy.reason.clone(),
        condition: policy.condition.clone(),
        program: shared(&mut predicates.programs, &policy.program),
        plan: policy.plan.as_ref().map(|plan| shared(&mut predicates.plans, plan)),
        line: policy.line,
    }
}

/// The index of an equal entry among the latest, or of a new one. Policies of one project repeat
/// one another closely, so looking further back costs more than it saves.
fn shared<T: PartialEq + Clone>(all: &mut Vec<T>, one: &T) -> u32 {
    const WINDOW: usize = 256;
    let from = all.len().saturating_sub(WINDOW);
    let known = all.iter().skip(from).position(|known| known == one).map(|at| at + from);
    let index = known.unwrap_or_else(|| {
        all.push(one.clone());
        all.len() - 1
    });
    u32::try_from(index).unwrap_or(u32::MAX)
}
