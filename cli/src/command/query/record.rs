//! The record of a statement: no statement without one, where audit is on.
//!
//! It is recorded as the tool `execute_sql_query` is, of which it is the operator's form: without
//! its values, which may be anything.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use mxcp_compiler::sql::without_values;
use mxcp_runtime::audit::{AppendError, CallId, Trail};
use mxcp_runtime::config::{Process, Wanted, load};
use mxcp_runtime::launch::open_trail;
use mxcp_runtime::output::OutputError;
use mxcp_schemas::audit::{CallerType, Client, OperationStatus, OperationType, Record};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::project::Project;

/// Where statements are recorded, if they are.
pub(super) struct Journal(Trail);

/// A statement that is about to run.
pub(super) struct Entry<'j> {
    journal: &'j Journal,
    id: CallId,
    began: Instant,
    input: Value,
}

impl Journal {
    /// Opens the trail of a profile.
    pub(super) fn open(project: &Project, profile: Option<&str>) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::usage(error.to_string());
        let (name, profile, audit) = project.audit(profile)?;
        let wanted = Wanted { project: &name, profile: &profile, secrets: &[] };
        let config = load(None, &Process, wanted).map_err(|e| failed(&e))?;
        let opened = open_trail(&audit, &config, project.root(), None);
        Ok(Self(opened.map_err(|e| failed(&e))?.0))
    }

    /// Records the intent to run a statement that may change something. Nothing may run without.
    pub(super) fn begin(
        &self,
        sql: &str,
        file: Option<&Path>,
        read_only: bool,
    ) -> Result<Entry<'_>, Failure> {
        let input = match file {
            Some(file) => json!({"sql": without_values(sql), "file": file.to_string_lossy()}),
            None => json!({"sql": without_values(sql)}),
        };
        let entry = Entry { journal: self, id: CallId::begin(), began: Instant::now(), input };
        if !read_only {
            let _on_disk = self.0.intend_blocking(&entry.record()).map_err(|e| unrecorded(&e))?;
        }
        Ok(entry)
    }
}

impl Entry<'_> {
    fn record(&self) -> Record<'_> {
        let (kind, status) = (OperationType::Tool, OperationStatus::Success);
        let mut record = Record::new(
            self.id.as_str(),
            Timestamp::now(),
            CallerType::Cli,
            kind,
            "execute_sql_query",
            status,
        );
        record.input_data = Some(&self.input);
        record.client = Some(Client { id: Some("mxcp"), ip: None });
        record.took(self.began.elapsed())
    }

    /// Records what a statement came to, and then hands that on.
    pub(super) fn end<T, E: Into<OutputError>>(self, result: Result<T, E>) -> Result<T, Failure> {
        let result = result.map_err(Into::into);
        // Its text may name columns, and a column that nobody named is called by its value.
        let class = result.as_ref().err().map(|error| error.class().to_owned());
        let mut record = self.record();
        if class.is_some() {
            record.operation_status = OperationStatus::Error;
        }
        record.error = class.as_deref();
        let _receipt = self.journal.0.append_blocking(&record).map_err(|e| unrecorded(&e))?;
        result.map_err(|error| Failure::failed(error.to_string()))
    }
}

fn unrecorded(error: &AppendError) -> Failure {
    Failure::failed(format!("the statement could not be recorded, so nothing is shown: {error}"))
}
