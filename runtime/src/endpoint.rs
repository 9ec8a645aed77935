//! The endpoints of a bundle, found by what clients call them by.

pub mod prepared;

use std::sync::OnceLock;

use mxcp_schemas::bundle::definition::{self, Endpoints, Kind};

use crate::check::Checks;
use crate::mcp::uri::{Template, UriError};
use prepared::{Machinery, PrepareError, Prepared};

/// An endpoint that is served.
#[derive(Debug)]
pub struct Endpoint {
    /// what the bundle says of it
    pub definition: definition::Endpoint,
    /// its place among all endpoints of the bundle
    pub index: usize,
    template: Option<Template>,
    prepared: OnceLock<Result<Prepared, PrepareError>>,
}

/// All endpoints, sorted by kind and identity.
#[derive(Debug)]
pub struct Catalog {
    entries: Box<[Endpoint]>,
}

/// A resource and the variables of the URI that it was asked for by.
pub type Located<'c> = (&'c Endpoint, Vec<(&'c str, String)>);

impl Endpoint {
    /// Whether this is a resource whose URI has variables.
    pub fn is_template(&self) -> bool {
        self.template.as_ref().is_some_and(Template::is_template)
    }

    /// The form that calls are made with; made on first use.
    ///
    /// # Errors
    /// When the bundle breaks a rule that the compiler keeps.
    pub fn prepared(
        &self,
        machinery: &Machinery,
        checks: &Checks,
        users: usize,
    ) -> Result<&Prepared, &PrepareError> {
        let prepare = || Prepared::new(&self.definition, machinery, checks, users);
        self.prepared.get_or_init(prepare).as_ref()
    }
}

impl Catalog {
    /// The catalogue of a bundle's endpoints.
    pub fn new(endpoints: Endpoints) -> Self {
        let mut entries: Vec<_> = endpoints.entries;
        // The compiler sorts them; look-ups must not depend on that.
        entries.sort_by(|a, b| (a.kind, &a.identity).cmp(&(b.kind, &b.identity)));
        let entry = |(index, definition): (usize, definition::Endpoint)| {
            let is_resource = definition.kind == Kind::Resource;
            let template = is_resource.then(|| Template::new(&definition.identity));
            Endpoint { definition, index, template, prepared: OnceLock::new() }
        };
        Self { entries: entries.into_iter().enumerate().map(entry).collect() }
    }

    /// All endpoints of a kind, sorted by identity.
    pub fn of(&self, kind: Kind) -> &[Endpoint] {
        let start = self.entries.partition_point(|entry| entry.definition.kind < kind);
        let end = self.entries.partition_point(|entry| entry.definition.kind <= kind);
        self.entries.get(start..end).unwrap_or_default()
    }

    /// The endpoint of that kind and identity: a name, or the URI template of a resource.
    pub fn find(&self, kind: Kind, identity: &str) -> Option<&Endpoint> {
        let entries = self.of(kind);
        let found = entries.binary_search_by(|entry| (*entry.definition.identity).cmp(identity));
        entries.get(found.ok()?)
    }

    /// The resource that a URI names, with the variables of its template.
    ///
    /// # Errors
    /// When the URI matches a template with a value that is refused.
    pub fn locate(&self, uri: &str) -> Option<Result<Located<'_>, UriError>> {
        let fixed = self.find(Kind::Resource, uri).filter(|entry| !entry.is_template());
        if let Some(entry) = fixed {
            return Some(Ok((entry, Vec::new())));
        }
        let templates = self.of(Kind::Resource).iter().filter(|entry| entry.is_template());
        templates.into_iter().find_map(|entry| {
            let variables = entry.template.as_ref()?.variables_of(uri)?;
            Some(variables.map(|variables| (entry, variables)))
        })
    }

    /// All endpoints in their order.
    pub fn all(&self) -> &[Endpoint] {
        &self.entries
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mxcp_schemas::bundle::definition::{Annotations, Body};

    /// An endpoint with a name and nothing else.
    pub(crate) fn named(kind: Kind, identity: &str) -> definition::Endpoint {
        definition::Endpoint {
            kind,
            identity: identity.into(),
            title: None,
            description: None,
            tags: Vec::new(),
            annotations: Annotations::default(),
            mime_type: None,
            parameters: Vec::new(),
            result: None,
            body: Body::Sql { text: "SELECT 1".into(), uses: Vec::new(), read_only: true },
            input: Vec::new(),
            output: Vec::new(),
            input_schema: r#"{"type":"object"}"#.into(),
            output_schema: None,
            file: "tools/x.yml".into(),
        }
    }

    fn catalog() -> Catalog {
        Catalog::new(Endpoints {
            entries: vec![
                named(Kind::Prompt, "b"),
                named(Kind::Resource, "a://x"),
                named(Kind::Resource, "a://{id}/y"),
                named(Kind::Resource, "a://z/{n}"),
                named(Kind::Tool, "b"),
                named(Kind::Tool, "a"),
            ],
        })
    }

    #[test]
    fn endpoints_are_found_by_kind_and_name() {
        let catalog = catalog();
        let names = |kind| -> Vec<&str> {
            catalog.of(kind).iter().map(|entry| &*entry.definition.identity).collect()
        };
        assert_eq!(names(Kind::Tool), ["a", "b"]);
        assert_eq!(names(Kind::Prompt), ["b"]);
        assert_eq!(catalog.find(Kind::Tool, "b").unwrap().definition.kind, Kind::Tool);
        assert!(catalog.find(Kind::Tool, "c").is_none());
        assert!(catalog.find(Kind::Prompt, "a").is_none());
        assert!(catalog.all().iter().enumerate().all(|(i, entry)| entry.index == i));
    }

    #[test]
    fn resources_are_found_by_uri() {
        let catalog = catalog();
        let located = |uri| {
            let (entry, variables) = catalog.locate(uri)?.unwrap();
            let values: Vec<String> = variables.into_iter().map(|(_, value)| value).collect();
            Some((entry.definition.identity.clone(), values))
        };
        assert_eq!(located("a://x"), Some(("a://x".into(), vec![])));
        assert_eq!(located("a://7/y"), Some(("a://{id}/y".into(), vec!["7".into()])));
        assert_eq!(located("a://z/8"), Some(("a://z/{n}".into(), vec!["8".into()])));
        assert_eq!(located("a://q"), None);
        assert_eq!(located("a://{id}"), None);
        assert!(catalog.locate("a://z/..").unwrap().is_err());
    }
}
