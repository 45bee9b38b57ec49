//! Documents as they may become: forms, nested and combined schemas, references in circles, and what is no document.

use serde_json::{Value, json};

use super::reference::{Operation, Reference};
use super::schema::{Field, Part};

const URL: &str = "https://api.example.com/laputa";

fn read(document: &Value) -> Reference {
    Reference::read(&document.to_string(), URL)
}

/// The one operation of a document with one.
fn operation(method: &str, operation: &Value, more: Value) -> Operation {
    let mut document = json!({"paths": {"/o/{kind}/": {}}, "components": more});
    document["paths"]["/o/{kind}/"][method] = operation.clone();
    read(&document).groups.remove(0).operations.remove(0)
}

fn words(parts: &[Part]) -> String {
    let word = |part: &Part| match &part.anchor {
        Some(anchor) => format!("[{}](#{anchor})", part.text),
        None => part.text.clone(),
    };
    parts.iter().map(word).collect()
}

fn line(field: &Field) -> String {
    let mark = if field.required { " required" } else { "" };
    let rules: String = field.rules.iter().map(|rule| format!(", {rule}")).collect();
    format!("{}: {}{mark}{rules}", field.name, words(&field.kind))
}

/// The fields of a schema, as the reference shows them.
fn fields(schema: &Value) -> Vec<String> {
    let document = json!({"components": {"schemas": {"It": schema, "Colour": {"enum": ["red", "blue"]}}}});
    let found = read(&document).schemas.into_iter().find(|schema| schema.name == "It").unwrap();
    found.fields.iter().map(line).collect()
}

#[test]
fn a_form_is_shown_field_by_field_and_sent_field_by_field() {
    let form = json!({"$ref": "#/components/schemas/Form"});
    let told = operation(
        "post",
        &json!({
            "tags": ["oauth"], "summary": "Gives `tokens`.",
            "security": [{}, {"basic": []}],
            "parameters": [{"name": "kind", "in": "path", "required": true, "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": form}}},
            "responses": {"200": {"description": "Done"}, "default": {"$ref": "#/components/responses/Error"}},
        }),
        json!({
            "schemas": {"Form": {
                "type": "object", "required": ["grant_type", "note"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["password grant", "x"]},
                    "note": {"type": "string", "example": "it's"},
                    "scope": {"type": ["string", "null"]},
                },
            }},
            "responses": {"Error": {"description": "No", "content": {"application/json": {"schema": {"type": "object"}}}}},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        }),
    );
    let shown: Vec<String> = told.bodies[0].fields.iter().map(line).collect();
    assert_eq!(
        shown,
        ["grant_type: string required, `password grant` or `x`", "note: string required", "scope: string"]
    );
    assert_eq!(words(&told.bodies[0].kind), "[Form](#schema-Form)");
    assert_eq!(
        told.sample,
        "curl https://api.example.com/laputa/o/KIND/ \\\n  -u \"$JETON_CLIENT_ID:$JETON_CLIENT_SECRET\" \\\n  \
         --data-urlencode 'grant_type=password grant' \\\n  --data-urlencode 'note=it'\\''s'"
    );
    assert_eq!(told.anchor, "operation-post-o--kind--");
    let error = &told.answers[1];
    assert_eq!((error.status.as_str(), error.description.as_str()), ("", "No"));
    assert_eq!(error.contents[0].media, "application/json");
}

#[test]
fn parameters_of_the_path_and_of_the_query_are_sent_where_they_are_required() {
    let told = operation(
        "delete",
        &json!({
            "operationId": "drop_it", "deprecated": true, "security": [{"bearer": ["a:b", "c:d"]}],
            "parameters": [
                {"$ref": "#/components/parameters/Kind"},
                {"name": "confirm", "in": "query", "required": true, "description": "Once more.", "schema": {}},
                {"name": "again", "in": "query", "required": true},
                {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 200}},
                {"name": "If-Match", "in": "header", "required": true, "schema": {"type": "string"}},
            ],
        }),
        json!({
            "parameters": {"Kind": {"name": "kind", "in": "path", "required": true}},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        }),
    );
    assert_eq!(
        told.sample,
        "curl -X DELETE 'https://api.example.com/laputa/o/KIND/?confirm=CONFIRM&again=AGAIN' \\\n  \
         -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'If-Match: IF_MATCH'"
    );
    assert_eq!(told.access, "a bearer token with the scopes `a:b`, `c:d`");
    assert_eq!((told.anchor.as_str(), told.deprecated), ("operation-drop_it", true));
    let shown: Vec<String> =
        told.parameters.iter().map(|one| format!("{} {}", one.place, line(&one.field))).collect();
    assert_eq!(shown[0], "path kind: anything required");
    assert_eq!(shown[3], "query limit: integer, at most 200");
    assert_eq!(told.parameters[1].field.description, "Once more.");
}

#[test]
fn what_a_browser_calls_by_is_its_session() {
    let cookie =
        json!({"securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "__Host-jeton"}}});
    for (security, access) in [
        (json!([{"session": []}]), "the session of a signed-in browser"),
        (json!([{}, {"session": []}]), "the session of a signed-in browser, or none"),
    ] {
        let told = operation("get", &json!({"security": security}), cookie.clone());
        assert_eq!(told.access, access);
        assert_eq!(told.sample, "curl 'https://api.example.com/laputa/o/{kind}/'");
    }
}

#[test]
fn types_and_bounds_are_told_in_words() {
    let schema = json!({"required": ["id"], "properties": {
        "a_map": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
        "any": {},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "colour": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Colour"}], "default": "red"},
        "free": {"type": "object", "additionalProperties": true, "propertyNames": {"pattern": "^x"}},
        "id": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^[a-z]+$", "writeOnly": true},
        "list": {"type": "array", "items": {"$ref": "#/components/schemas/Colour"}, "uniqueItems": true, "minItems": 1},
        "number": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 2},
        "nobody": {"$ref": "#/components/schemas/Nobody"},
        "one": {"const": 7},
    }});
    insta::assert_snapshot!(fields(&schema).join("\n"), @r"
    a_map: map of integer, each: at least 1
    any: anything
    at: string (date-time) or null
    colour: [Colour](#schema-Colour) or null, `red` or `blue`, `red` by default
    free: object, keys match `^x`
    id: string required, characters: 1 to 9, matches `^[a-z]+$`, never answered
    list: list of [Colour](#schema-Colour), items: at least 1, no item twice
    nobody: Nobody
    number: number, more than 0, a multiple of 2
    one: anything, always `7`
    ");
}

#[test]
fn what_has_no_name_of_its_own_is_shown_in_place() {
    let owner = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let schema = json!({"allOf": [
        {"type": "object", "properties": {"owner": owner}},
        {"oneOf": [owner, {"properties": {"kids": {"type": "array", "items": owner}}}]},
    ]});
    insta::assert_snapshot!(fields(&schema).join("\n"), @r"
    owner: object
    owner.name: string required
    name: string
    kids: list of object
    kids[].name: string
    ");
}

#[test]
fn what_leads_in_circles_ends() {
    let circle = json!({"$ref": "#/components/schemas/It"});
    assert_eq!(fields(&circle), Vec::<String>::new());
    let nested =
        json!({"properties": {"it": {"allOf": [circle]}, "next": circle}, "required": ["it", "next"]});
    assert!(fields(&nested).len() < 1000);
    let body = json!({"requestBody": {"content": {"application/json": {"schema": circle}}}});
    let told = operation("put", &body, json!({"schemas": {"It": nested}}));
    assert!(told.sample.starts_with("curl -X PUT"), "{}", told.sample);
}

#[test]
fn what_is_no_document_gives_an_empty_reference() {
    for text in [
        "",
        "nonsense",
        "[]",
        "{\"paths\": 7, \"tags\": {}, \"components\": []}",
        "{\"paths\": {\"/x\": {\"get\": 1}}}",
    ] {
        let told = Reference::read(text, URL);
        assert!(told.schemas.is_empty(), "{text}");
        assert!(told.groups.len() <= 1, "{text}");
    }
}
