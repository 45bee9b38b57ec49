//! What stands in the reference? The document's operations by tag, and its schemas, ready to be written.

use serde_json::Value;

use super::sample::{FORM, curl};
use super::schema::{Document, Field, Part, anchor, entries, list, text};

const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
/// What a browser calls by.
const SESSION: &str = "the session of a signed-in browser";

/// All of it.
pub(super) struct Reference {
    pub(super) groups: Vec<Group>,
    pub(super) schemas: Vec<Schema>,
}

/// The operations of one tag.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) anchor: String,
    pub(super) description: String,
    pub(super) operations: Vec<Operation>,
}

/// One method of one path.
pub(super) struct Operation {
    pub(super) anchor: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) deprecated: bool,
    /// Who may call it; empty where the document does not tell.
    pub(super) access: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) bodies: Vec<Content>,
    pub(super) answers: Vec<Outcome>,
    pub(super) sample: String,
}

/// What is sent beside the body.
pub(super) struct Parameter {
    /// `path`, `query`, `header` or `cookie`.
    pub(super) place: String,
    pub(super) field: Field,
}

/// A body of one media type.
pub(super) struct Content {
    pub(super) media: String,
    pub(super) kind: Vec<Part>,
    pub(super) fields: Vec<Field>,
}

/// What comes back.
pub(super) struct Outcome {
    /// Empty where it stands for all others.
    pub(super) status: String,
    pub(super) description: String,
    pub(super) contents: Vec<Content>,
}

/// A schema with a name.
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) anchor: String,
    pub(super) description: String,
    pub(super) kind: Vec<Part>,
    pub(super) rules: Vec<String>,
    pub(super) fields: Vec<Field>,
}

impl Reference {
    /// Reads an OpenAPI document; what is not understood is left out.
    pub(super) fn read(document: &str, public_url: &str) -> Self {
        let document = Document(serde_json::from_str(document).unwrap_or_default());
        let mut groups: Vec<Group> = list(&document.0, "tags").iter().map(Group::of).collect();
        for (path, item) in entries(&document.0, "paths") {
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let tag = list(operation, "tags").first().and_then(Value::as_str).unwrap_or("other");
                let read = document.operation(public_url, method, path, item, operation);
                match groups.iter_mut().find(|group| group.name == tag) {
                    Some(group) => group.operations.push(read),
                    None => groups.push(Group { operations: vec![read], ..Group::named(tag) }),
                }
            }
        }
        groups.retain(|group| !group.operations.is_empty());
        // What every client reads by itself comes last.
        let is_found = |operation: &Operation| operation.path.starts_with("/.well-known/");
        groups.iter_mut().for_each(|group| group.operations.sort_by_key(is_found));
        Self { groups, schemas: document.schemas() }
    }
}

impl Group {
    fn of(tag: &Value) -> Self {
        Self { description: text(tag, "description").to_owned(), ..Self::named(text(tag, "name")) }
    }

    fn named(name: &str) -> Self {
        let (name, anchor) = (name.to_owned(), anchor("tag", name));
        Self { name, anchor, description: String::new(), operations: Vec::new() }
    }

    /// As a heading.
    pub(super) fn title(&self) -> String {
        let mut letters = self.name.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

impl Document {
    fn operation(
        &self,
        public_url: &str,
        method: &str,
        path: &str,
        item: &Value,
        operation: &Value,
    ) -> Operation {
        let parameters: Vec<&Value> = list(item, "parameters")
            .iter()
            .chain(list(operation, "parameters"))
            .map(|parameter| self.resolve(parameter))
            .collect();
        let id = match text(operation, "operationId") {
            "" => format!("{method}{path}"),
            id => id.to_owned(),
        };
        let method = method.to_uppercase();
        Operation {
            anchor: anchor("operation", &id),
            summary: text(operation, "summary").to_owned(),
            description: text(operation, "description").to_owned(),
            deprecated: operation.get("deprecated").and_then(Value::as_bool).unwrap_or_default(),
            access: self.access(operation),
            bodies: operation.get("requestBody").map_or_else(Vec::new, |body| self.contents(body, true)),
            answers: entries(operation, "responses")
                .map(|(status, answer)| self.outcome(status, answer))
                .collect(),
            sample: curl(self, public_url, (&method, path), operation, &parameters),
            parameters: parameters.into_iter().map(|parameter| self.parameter(parameter)).collect(),
            path: path.to_owned(),
            method,
        }
    }

    fn parameter(&self, parameter: &Value) -> Parameter {
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or_default();
        let schema = parameter.get("schema").unwrap_or(&Value::Null);
        let mut field = self.field(text(parameter, "name"), schema, required);
        if let Some(description) = parameter.get("description").and_then(Value::as_str) {
            description.clone_into(&mut field.description);
        }
        Parameter { place: text(parameter, "in").to_owned(), field }
    }

    /// The fields are shown where they are wanted; of an error its type says enough.
    fn contents(&self, body: &Value, with_fields: bool) -> Vec<Content> {
        let content = |(media, content): (&String, &Value)| {
            let schema = content.get("schema").unwrap_or(&Value::Null);
            let mut fields = if with_fields { self.fields(schema) } else { Vec::new() };
            if media == FORM {
                fields.iter_mut().for_each(Field::forget_null);
            }
            Content { media: media.clone(), kind: self.kind(schema), fields }
        };
        entries(self.resolve(body), "content").map(content).collect()
    }

    fn outcome(&self, status: &str, answer: &Value) -> Outcome {
        let is_success = status.starts_with(['2', '3']);
        Outcome {
            status: if status == "default" { String::new() } else { status.to_owned() },
            description: text(self.resolve(answer), "description").to_owned(),
            contents: self.contents(answer, is_success),
        }
    }

    fn access(&self, operation: &Value) -> String {
        let Some(ways) =
            operation.get("security").or_else(|| self.0.get("security")).and_then(Value::as_array)
        else {
            return String::new();
        };
        let (open, named): (Vec<&Value>, Vec<&Value>) =
            ways.iter().partition(|way| way.as_object().is_none_or(serde_json::Map::is_empty));
        let mut told: Vec<String> = named.into_iter().map(|way| self.way(way)).collect();
        match (told.is_empty(), open.is_empty()) {
            (true, _) => "nothing; it is open to anybody".to_owned(),
            (false, true) => told.join(" or "),
            (false, false) => {
                let is_of_browser = told.iter().all(|way| way == SESSION);
                let without = if is_of_browser { "none" } else { "no header, where the body says who calls" };
                told.push(without.to_owned());
                told.join(", or ")
            }
        }
    }

    fn way(&self, way: &Value) -> String {
        let one = |(name, scopes): (&String, &Value)| {
            let scheme = self.0.pointer("/components/securitySchemes").and_then(|schemes| schemes.get(name));
            let scheme = scheme.unwrap_or(&Value::Null);
            let words = match (text(scheme, "type"), text(scheme, "scheme")) {
                ("apiKey", _) if text(scheme, "in") == "cookie" => SESSION.to_owned(),
                ("http", "bearer") => "a bearer token".to_owned(),
                ("http", "basic") => "client id and secret as HTTP basic authentication".to_owned(),
                _ => format!("`{name}`"),
            };
            let scopes: Vec<&str> =
                scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match scopes.as_slice() {
                [] => words,
                [one] => format!("{words} with the scope `{one}`"),
                several => format!("{words} with the scopes `{}`", several.join("`, `")),
            }
        };
        way.as_object().into_iter().flatten().map(one).collect::<Vec<_>>().join(" and ")
    }

    fn schemas(&self) -> Vec<Schema> {
        let components = self.0.get("components").unwrap_or(&Value::Null);
        let read = |(name, schema): (&String, &Value)| Schema {
            name: name.clone(),
            anchor: anchor("schema", name),
            description: text(schema, "description").to_owned(),
            kind: self.kind(schema),
            rules: super::rules::rules(self, schema),
            fields: self.fields(schema),
        };
        entries(components, "schemas").map(read).collect()
    }
}
