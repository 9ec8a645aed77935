//! SQL: run, asked about, written, all on the thread that holds the rows.

use std::sync::Arc;
use std::time::Duration;

use mxcp_schemas::bundle::definition::Body;
use mxcp_schemas::bundle::plan::Plan;
use tokio_util::sync::CancellationToken;

use super::ask::Ruling;
use super::asked::About;
use super::execute::{Done, Fault, Work};
use super::{Class, Failure, Outcome, Value};
use crate::arguments::bind::bind;
use crate::duckdb::{DuckError, Session};
use crate::endpoint::Endpoint;
use crate::endpoint::prepared::Prepared;
use crate::limits::{Limits, size};
use crate::output::{Form, OutputError, Table};

/// After what time to try again when the database had no room.
const BUSY_RETRY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    work: Work,
    endpoint: &Endpoint,
    prepared: &Prepared,
    cancel: &CancellationToken,
) -> Done {
    let runtime = Arc::clone(&work.call.runtime);
    let Some(pool) = runtime.pool() else {
        return work.fail(Fault::public("sql", "there is no database"), prepared.is_guarded);
    };
    let (timeout, threads) = (Limits::duration(runtime.query_timeout_ms()), pool.workers());
    // What is known so far, should the job never come back.
    let (trace, rest, call) = (work.trace.clone(), work.clone(), Arc::clone(&work.call));
    let sql = match &endpoint.definition.body {
        Body::Sql { text, .. } => text.as_str(),
        _ => "",
    };
    let about = Arc::new(About::new(&work.call.caller, sql).await);
    tokio::select! {
        biased;
        done = pool.run(timeout, move |session| job(work, session, about, threads)) => match done {
            Ok(done) => done,
            Err(error) => lost(rest, &error, timeout),
        },
        // Dropping the job's future interrupts it.
        () = call.cancelled(cancel) => {
            let text = format!("the call was cancelled (call {})", rest.call.id);
            let failure = Failure { class: Class::Cancelled, text };
            (trace, Some("cancelled".into()), Outcome::Failed(failure))
        }
        // There is no answer without the record, so nobody reads this.
        () = call.overdue() => {
            rest.fail(Fault::private("audit", "the record is not on disk in time"), true)
        }
    }
}

/// Runs on one of the pool's threads, which records what it came to if the call waits for that.
fn job(work: Work, session: &mut Session, about: Arc<About>, threads: usize) -> Done {
    let call = Arc::clone(&work.call);
    let done = answer(work, session, about);
    call.record(&done, threads);
    done
}

fn answer(work: Work, session: &mut Session, about: Arc<About>) -> Done {
    let _speaking = session.speak_for(about);
    let runtime = Arc::clone(&work.call.runtime);
    let Some(endpoint) = runtime.catalog().all().get(work.call.endpoint) else {
        return work.fail(Fault::public("internal", "the endpoint is gone"), true);
    };
    let Ok(prepared) = runtime.prepared(endpoint) else {
        return work.fail(Fault::public("internal", "the endpoint cannot be prepared"), true);
    };
    let form = Form::of(endpoint.definition.result, runtime.checks());
    match execute(&work, endpoint, prepared, session, form) {
        Ok(table) => decide(work, endpoint, prepared, &table, form),
        Err(error) => {
            let timeout = Limits::duration(runtime.query_timeout_ms());
            work.fail(fault(&error, timeout), prepared.is_guarded)
        }
    }
}

/// Runs the statement and takes its rows, which are as declared.
fn execute(
    work: &Work,
    endpoint: &Endpoint,
    prepared: &Prepared,
    session: &mut Session,
    form: Form,
) -> Result<Table, OutputError> {
    let Body::Sql { text, .. } = &endpoint.definition.body else {
        return Err(OutputError::NoRows);
    };
    let runtime = &work.call.runtime;
    let names = prepared.parameters.list();
    let value = |name: &str| {
        let at = names.iter().position(|p| p.name.eq_ignore_ascii_case(name))?;
        let (parameter, argument) = (names.get(at)?, work.call.arguments.values().get(at)?);
        Some(bind(argument, runtime.checks().node(parameter.ty), runtime.checks()))
    };
    let max_rows = size(runtime.limits().max_result_rows);
    let table = Table::collect(session.query(text, value)?, max_rows)?;
    table.fit(form)?;
    if let Some(result) = endpoint.definition.result {
        table.check(form, result, runtime.checks())?;
    }
    Ok(table)
}

/// Asks the output policies, and writes what they leave.
fn decide(
    mut work: Work,
    endpoint: &Endpoint,
    prepared: &Prepared,
    table: &Table,
    form: Form,
) -> Done {
    let runtime = Arc::clone(&work.call.runtime);
    let response = prepared.reads.response.then(|| {
        table.datum(form, endpoint.definition.result, runtime.checks(), runtime.symbols())
    });
    let inert = Plan::inert();
    let ruling = work.rule(endpoint, prepared, response.as_ref());
    let plan = match &ruling {
        Ruling::Keep => &inert,
        Ruling::Change(plan) => plan,
        Ruling::Deny(denial) => {
            let changed = !matches!(&endpoint.definition.body, Body::Sql { read_only: true, .. });
            return work.deny(denial, changed);
        }
    };
    let mut out = Vec::new();
    let max_bytes = size(runtime.limits().max_result_bytes);
    if let Err(error) = table.write_json(form, plan, max_bytes, &mut out) {
        let timeout = Limits::duration(runtime.query_timeout_ms());
        return work.fail(fault(&error, timeout), prepared.is_guarded);
    }
    match String::from_utf8(out) {
        Ok(json) => {
            let is_octets = table.is_octets(form) && matches!(ruling, Ruling::Keep);
            let value = Value { json, is_wrapped: prepared.is_wrapped, is_octets };
            (work.trace, work.error, Outcome::Value(value))
        }
        Err(_) => work.fail(Fault::public("internal", "the result is not UTF-8"), true),
    }
}

/// A job that never ran, or never came back.
fn lost(work: Work, error: &DuckError, timeout: Duration) -> Done {
    match error.class {
        "busy" => {
            let text = format!("{}; try again later (call {})", error.message, work.call.id);
            let failure = Failure { class: Class::Busy(BUSY_RETRY), text };
            (work.trace, Some("limit reached".into()), Outcome::Failed(failure))
        }
        "timeout" => work.fail(overtime(timeout), true),
        _ => work.fail(Fault::public(error.class, error.message.clone()), false),
    }
}

/// DuckDB's words may hold values and are for operators; ours hold none. That a limit was reached
/// everybody may know.
fn fault(error: &OutputError, timeout: Duration) -> Fault {
    match error {
        OutputError::Duck(error) if error.is_interrupt() => overtime(timeout),
        OutputError::Duck(error) => Fault::private(error.class, error.message.clone()),
        OutputError::RowLimit(_) | OutputError::ByteLimit(_) => {
            Fault::limit(error.class(), error.to_string())
        }
        other => Fault::public(other.class(), other.to_string()),
    }
}

fn overtime(timeout: Duration) -> Fault {
    let text = format!("the query took more than {} ms (`query_timeout_ms`)", timeout.as_millis());
    Fault::limit("timeout", text)
}
