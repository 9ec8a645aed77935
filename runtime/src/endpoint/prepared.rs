//! An endpoint in the form that calls are made with: parameters that read arguments, policies with
//! their predicates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_policy::action::{self, Effect};
use mxcp_policy::datum::Symbols;
use mxcp_policy::plan;
use mxcp_policy::predicate::{LinkError, Predicate};
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::{Slot, USER_ATTRIBUTES};
use mxcp_schemas::bundle::definition::{self, Predicates, TypeId};
use mxcp_schemas::bundle::plan::{Plan, Verdict};

use crate::arguments::{DeclarationError, Parameters};
use crate::check::{Checks, Shape};
use crate::output::Form;
use crate::principal::Questions;

/// Joint plans that an endpoint remembers, at most.
const JOINT_PLANS_MAX: usize = 64;

/// The conditions and plans of a bundle, ready to run.
#[derive(Debug)]
pub struct Machinery {
    predicates: Arc<[Predicate]>,
    questions: Arc<Questions>,
    plans: Box<[Arc<Plan>]>,
}

/// A policy that can be asked.
#[derive(Debug)]
pub struct Rule {
    /// its name in the audit trail
    pub name: Box<str>,
    /// what a refused client reads
    pub reason: Option<Box<str>>,
    /// its condition: an index of the bundle's programs
    pub program: usize,
    /// what it does when its condition is true, or errs
    pub act: Act,
}

/// What a policy does.
#[derive(Debug, Clone)]
pub enum Act {
    /// refuses the call
    Refuse,
    /// changes the result
    Change(Arc<Plan>),
}

impl Act {
    /// Whether nothing may be left of the result.
    fn replaces_all(&self) -> bool {
        match self {
            Self::Refuse => false,
            Self::Change(plan) => plan.state(plan.start).verdict != Verdict::Keep,
        }
    }
}

/// What the policies of an endpoint read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reads {
    /// slots of `user`, sorted
    pub user: Vec<usize>,
    /// parameters, by position
    pub params: Vec<bool>,
    /// whether any of them reads the request
    pub request: bool,
    /// whether any of them reads the result
    pub response: bool,
}

/// An endpoint, prepared.
#[derive(Debug)]
pub struct Prepared {
    /// reads arguments
    pub parameters: Parameters,
    /// asked before execution
    pub input: Box<[Rule]>,
    /// asked after it
    pub output: Box<[Rule]>,
    /// what all of these read
    pub reads: Reads,
    /// whether errors may carry what the client must not see
    pub is_guarded: bool,
    /// whether structured results are a member `result`: the declared one is no object, or some
    /// policy may replace it as a whole; the published schema says the same
    pub is_wrapped: bool,
    joint: Mutex<HashMap<Vec<usize>, Arc<Plan>>>,
}

/// Why a bundle's endpoint cannot be served. The compiler makes no such bundle.
#[derive(Debug, thiserror::Error)]
#[error("{kind} `{identity}`: {problem}", kind = kind.as_str())]
pub struct PrepareError {
    kind: definition::Kind,
    identity: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    #[error("policy `{0}` reads what there is not where it stands")]
    Inputs(String),
    #[error("policy `{0}` refers to a condition or plan that the bundle does not have")]
    Missing(String),
    #[error("policy `{0}`: there is no action `{1}` in this release")]
    Action(String, String),
    #[error("policy `{0}`: the action `{1}` cannot stand here")]
    Place(String, String),
}

impl Machinery {
    /// Links all conditions. Every string that a condition mentions has its symbol afterwards.
    ///
    /// # Errors
    /// When a condition's code breaks a rule.
    pub fn link(
        predicates: Predicates,
        users: usize,
        symbols: &mut Symbols,
    ) -> Result<Self, LinkError> {
        // Conditions are shared between endpoints; each endpoint checks on its own that it has
        // the inputs. What is linked here may read as much as any of them could.
        let widest = Layout { user: users, params: usize::from(u16::MAX) + 1, response: true };
        let mut questions = Questions::new(users);
        let mut linked = Vec::with_capacity(predicates.programs.len());
        // Each program goes once it is linked: together they are larger than all else here.
        for program in predicates.programs {
            let predicate = Predicate::link(&program, &widest, symbols)?;
            questions.add(&program, &predicate);
            linked.push(predicate);
        }
        Ok(Self {
            questions: Arc::new(questions),
            predicates: linked.into(),
            plans: predicates.plans.into_iter().map(Arc::new).collect(),
        })
    }

    /// The conditions, by their numbers.
    pub fn predicates(&self) -> Arc<[Predicate]> {
        Arc::clone(&self.predicates)
    }

    /// A condition.
    pub fn predicate(&self, program: usize) -> Option<&Predicate> {
        self.predicates.get(program)
    }

    /// What the conditions ask of callers, and where it is remembered what they came to.
    pub fn memory(&self) -> &Arc<Questions> {
        &self.questions
    }

    /// How many conditions there are.
    pub fn len(&self) -> usize {
        self.predicates.len()
    }

    /// Whether there are no conditions.
    pub fn is_empty(&self) -> bool {
        self.predicates.is_empty()
    }
}

impl Prepared {
    /// Prepares an endpoint.
    ///
    /// # Errors
    /// When its policies or parameters break a rule that the compiler keeps.
    pub fn new(
        endpoint: &definition::Endpoint,
        machinery: &Machinery,
        checks: &Checks,
        users: usize,
    ) -> Result<Self, PrepareError> {
        Self::build(endpoint, machinery, checks, users).map_err(|problem| PrepareError {
            kind: endpoint.kind,
            identity: endpoint.identity.clone(),
            problem,
        })
    }

    fn build(
        endpoint: &definition::Endpoint,
        machinery: &Machinery,
        checks: &Checks,
        users: usize,
    ) -> Result<Self, Problem> {
        let parameters = Parameters::new(&endpoint.parameters, checks)?;
        let params = endpoint.parameters.len();
        let mut reads = Reads { params: vec![false; params], ..Reads::default() };
        let mut rules = |policies: &[definition::Policy], response: bool| {
            let layout = Layout { user: users, params, response };
            let rule = |policy| rule(policy, machinery, &layout, &mut reads);
            policies.iter().map(rule).collect::<Result<Box<[Rule]>, Problem>>()
        };
        let input = rules(&endpoint.input, false)?;
        let output = rules(&endpoint.output, true)?;
        reads.user.sort_unstable();
        reads.user.dedup();
        let declared = endpoint.parameters.iter().map(|parameter| parameter.ty);
        let is_sensitive = declared.chain(endpoint.result).any(|ty| is_sensitive(checks, ty));
        let is_guarded = !output.is_empty() || is_sensitive;
        let is_wrapped = Form::of(endpoint.result, checks) != Form::Row
            || output.iter().any(|rule| rule.act.replaces_all());
        let joint = Mutex::default();
        Ok(Self { parameters, input, output, reads, is_guarded, is_wrapped, joint })
    }

    /// The plan that does what all these output policies do, by position; `None` when it would be
    /// too large, and the whole result must go.
    pub fn joint(&self, fired: &[usize]) -> Option<Arc<Plan>> {
        let plan = |index: &usize| match &self.output.get(*index)?.act {
            Act::Change(plan) => Some(Arc::clone(plan)),
            Act::Refuse => None,
        };
        let plans: Vec<Arc<Plan>> = fired.iter().filter_map(plan).collect();
        if let [only] = &*plans {
            return Some(Arc::clone(only));
        }
        let mut joint = self.joint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = joint.get(fired) {
            return Some(Arc::clone(known));
        }
        let parts: Vec<&Plan> = plans.iter().map(|plan| &**plan).collect();
        let made = Arc::new(plan::join(&parts).ok()?);
        if joint.len() < JOINT_PLANS_MAX {
            joint.insert(fired.to_vec(), Arc::clone(&made));
        }
        Some(made)
    }
}

fn rule(
    policy: &definition::Policy,
    machinery: &Machinery,
    layout: &Layout,
    reads: &mut Reads,
) -> Result<Rule, Problem> {
    let missing = || Problem::Missing(policy.name.clone());
    let program = usize::try_from(policy.program).map_err(|_| missing())?;
    let predicate = machinery.predicate(program).ok_or_else(missing)?;
    if !predicate.fits(layout) {
        return Err(Problem::Inputs(policy.name.clone()));
    }
    let unknown = || Problem::Action(policy.name.clone(), policy.action.clone());
    let action = action::find(&policy.action).ok_or_else(unknown)?;
    if !layout.response && !action.on_input {
        return Err(Problem::Place(policy.name.clone(), policy.action.clone()));
    }
    let act = match action.effect {
        Effect::Refuse => Act::Refuse,
        Effect::Change(_) => {
            let index = policy.plan.and_then(|plan| usize::try_from(plan).ok());
            let plan = index.and_then(|index| machinery.plans.get(index)).ok_or_else(missing)?;
            Act::Change(Arc::clone(plan))
        }
    };
    note_reads(predicate, layout.user, reads);
    let reason = policy.reason.as_deref().map(Into::into);
    Ok(Rule { name: policy.name.as_str().into(), reason, program, act })
}

fn note_reads(predicate: &Predicate, users: usize, reads: &mut Reads) {
    for slot in predicate.slots() {
        match slot {
            Slot::User(index) => reads.user.push(usize::from(index)),
            Slot::UserMap => reads.user.extend(0..users),
            Slot::Param(index) => {
                if let Some(read) = reads.params.get_mut(usize::from(index)) {
                    *read = true;
                }
            }
            Slot::Response => reads.response = true,
            Slot::Request(_) => reads.request = true,
        }
    }
}

/// Whether a type, or a part of it at any depth, is sensitive.
fn is_sensitive(checks: &Checks, ty: TypeId) -> bool {
    let Some(node) = checks.node(ty) else { return true };
    // A type refers only to types before itself, so this ends.
    let below = |part: TypeId| part.0 >= ty.0 || is_sensitive(checks, part);
    node.sensitive
        || match &node.shape {
            Shape::Array(rules) => rules.items.is_some_and(below),
            Shape::Object(rules) => rules.properties.iter().any(|property| below(property.ty)),
            Shape::String(_) | Shape::Number(_) | Shape::Boolean => false,
        }
}

/// How many attributes `user` has with so many declared ones.
pub const fn users(declared: usize) -> usize {
    USER_ATTRIBUTES.len() + declared
}
