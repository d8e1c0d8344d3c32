//! `docs/openapi.json`: it is what `sydent openapi` prints, it agrees with the
//! specification's own OpenAPI, and the server answers as it says.

use std::collections::{BTreeMap, BTreeSet};

use awc::http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Answer, CommandOutput, ROUTES, TestServer, repository};

/// An operation as the document or the specification describes it; fields and
/// parameters with whether they are required.
#[derive(Debug, Deserialize)]
struct Operation {
    needs_token: bool,
    parameters: BTreeMap<String, bool>,
    body: BTreeMap<String, bool>,
    statuses: BTreeSet<String>,
    response: BTreeMap<String, bool>,
}

/// What `tests/tools/extract-spec-api` took from the specification.
#[derive(Debug, Deserialize)]
struct Specification {
    operations: BTreeMap<String, Operation>,
}

/// Where this server differs from the specification, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    // Clients omit these two, which the server does not need (ACC-01).
    (
        "POST /_matrix/identity/v2/account/register",
        "body expires_in is not required",
    ),
    (
        "POST /_matrix/identity/v2/account/register",
        "body token_type is not required",
    ),
    // A user who does not accept the terms can log out (ACC-11).
    (
        "POST /_matrix/identity/v2/account/logout",
        "status 403 is missing",
    ),
    // A homeserver's signature or a session replaces the token (UNB-02, UNB-03).
    (
        "POST /_matrix/identity/v2/3pid/unbind",
        "a token is not required",
    ),
    // Both are for servers that cannot unbind (UNB-08).
    (
        "POST /_matrix/identity/v2/3pid/unbind",
        "status 404 is missing",
    ),
    (
        "POST /_matrix/identity/v2/3pid/unbind",
        "status 501 is missing",
    ),
    // A browser that opens a link sends no token (EML-22).
    (
        "GET /_matrix/identity/v2/validate/email/submitToken",
        "a token is not required",
    ),
    (
        "GET /_matrix/identity/v2/validate/msisdn/submitToken",
        "a token is not required",
    ),
];

/// What the specification does not have, apart from the deprecated v1.
const EXTENSIONS: &[&str] = &[
    "GET /_matrix/identity/internal/lookup",
    "GET /_matrix/identity/v2/",
    "GET /health",
    "GET /metrics",
    "GET /ready",
    "POST /_matrix/identity/internal/bind",
    "POST /_matrix/identity/internal/unbind",
    "POST /_matrix/identity/replicate/v1/push",
    "POST /_matrix/identity/v2/validate/email/confirm",
    "POST /_matrix/identity/v2/validate/msisdn/confirm",
];

fn file(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

fn document() -> Value {
    serde_json::from_str(&file("docs/openapi.json")).unwrap()
}

/// A value of the document, or what it refers to.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} does not exist")),
        None => value,
    }
}

/// The fields of the JSON body of a request or response.
fn fields(document: &Value, content: &Value) -> BTreeMap<String, bool> {
    let schema = &resolve(document, content)["content"]["application/json"]["schema"];
    let schema = resolve(document, schema);
    let empty = Vec::new();
    let required = schema["required"].as_array().unwrap_or(&empty);
    let Some(properties) = schema["properties"].as_object() else {
        return BTreeMap::new();
    };
    let is_required = |name: &String| required.iter().any(|one| one == name.as_str());
    let names = properties.keys();
    names
        .map(|name| (name.clone(), is_required(name)))
        .collect()
}

/// The operations of the document by method and path, each with its JSON.
fn operations(document: &Value) -> BTreeMap<String, (Operation, &Value)> {
    let mut all = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let empty = Vec::new();
            let security = operation["security"].as_array().unwrap_or(&empty);
            let no_token = |one: &Value| one.get("accessToken").is_none();
            let parameters = operation["parameters"].as_array().unwrap_or(&empty);
            let parameter = |one: &Value| {
                let name = one["name"].as_str().unwrap().to_owned();
                (name, one["required"] == true)
            };
            let responses = operation["responses"].as_object().unwrap();
            let described = Operation {
                needs_token: !security.is_empty() && !security.iter().any(no_token),
                parameters: parameters.iter().map(parameter).collect(),
                body: fields(document, &operation["requestBody"]),
                statuses: responses.keys().cloned().collect(),
                response: fields(document, &operation["responses"]["200"]),
            };
            let name = format!("{} {path}", method.to_uppercase());
            all.insert(name, (described, operation));
        }
    }
    all
}

/// Where an operation lacks what the specification demands.
fn differences(ours: &Operation, specified: &Operation) -> Vec<String> {
    let mut found = Vec::new();
    if specified.needs_token && !ours.needs_token {
        found.push("a token is not required".to_owned());
    }
    if ours.needs_token && !specified.needs_token {
        found.push("a token is required".to_owned());
    }
    for (kind, ours, specified) in [
        ("parameter", &ours.parameters, &specified.parameters),
        ("body", &ours.body, &specified.body),
        ("response", &ours.response, &specified.response),
    ] {
        for (name, required) in specified {
            match ours.get(name) {
                None => found.push(format!("{kind} {name} is missing")),
                Some(false) if *required => found.push(format!("{kind} {name} is not required")),
                Some(_) => {}
            }
        }
        let further = ours
            .iter()
            .filter(|(name, _)| !specified.contains_key(*name));
        let demanded = further.filter(|(_, required)| **required && kind != "response");
        found.extend(demanded.map(|(name, _)| format!("{kind} {name} is required")));
    }
    for status in &specified.statuses {
        // 4XX is any status of that class.
        let class = status.trim_end_matches('X');
        if !ours.statuses.iter().any(|one| one.starts_with(class)) {
            found.push(format!("status {status} is missing"));
        }
    }
    found
}

#[test]
fn openapi_prints_the_committed_document() {
    let folder = tempfile::tempdir().unwrap();
    let printed = CommandOutput::run(folder.path(), "openapi");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    assert!(
        printed.out == file("docs/openapi.json"),
        "docs/openapi.json is out of date: sydent openapi > docs/openapi.json"
    );
}

#[test]
fn the_api_agrees_with_the_specification() {
    let facts: Specification = serde_json::from_str(&file("tests/data/spec_api.json")).unwrap();
    assert!(facts.operations.len() > 20);
    let document = document();
    let ours = operations(&document);
    let mut found = Vec::new();
    for (name, specified) in &facts.operations {
        let (operation, _) = ours
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        let differences = differences(operation, specified);
        found.extend(differences.into_iter().map(|text| (name.as_str(), text)));
    }
    let mut expected: Vec<(&str, String)> = DIFFERENCES
        .iter()
        .map(|(name, text)| (*name, (*text).to_owned()))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);

    let further: Vec<&str> = ours
        .iter()
        .filter(|(name, (_, json))| {
            !facts.operations.contains_key(*name) && json["deprecated"] != true
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(further, EXTENSIONS);
}

#[test]
fn only_v1_endpoints_are_deprecated() {
    for (name, (_, json)) in operations(&document()) {
        let is_v1 = name.contains("/api/v1");
        assert_eq!(json["deprecated"] == true, is_v1, "{name}");
    }
}

#[test]
fn the_document_is_complete_and_for_readers() {
    let document = document();
    for (name, (_, json)) in operations(&document) {
        assert!(!json["summary"].as_str().unwrap().is_empty(), "{name}");
        assert!(json["tags"][0].is_string(), "{name}");
    }
    // Every reference leads somewhere, and every schema has one.
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let referred: BTreeSet<&str> = references
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    for reference in &referred {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let path = format!("/components/{kind}/{name}");
            assert!(referred.contains(path.as_str()), "nothing refers to {path}");
        }
    }
    // Requirement ids say nothing to a reader of the document.
    let is_id = |word: &&str| {
        let (area, number) = word.split_once('-').unwrap_or_default();
        area.len() == 3
            && area.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let ids: Vec<&str> = words.filter(is_id).collect();
    assert_eq!(ids, Vec::<&str>::new());
}

/// Whether the document has the status of an answer and, for an error, its
/// errcode.
#[track_caller]
fn is_documented(document: &Value, name: &str, answer: &Answer) {
    let operations = operations(document);
    let (_, json) = &operations[name];
    let response = &json["responses"][answer.status.to_string()];
    assert!(
        !response.is_null(),
        "{name}: {} {}",
        answer.status,
        answer.text()
    );
    if answer.status >= 400 && answer.header("content-type") == Some("application/json") {
        let errcode = answer.json()["errcode"].clone();
        // Shared responses have one errcode, and an obvious one.
        let known = match response["description"].as_str() {
            Some(description) => description.contains(errcode.as_str().unwrap()),
            None => response["$ref"].is_string(),
        };
        assert!(known, "{name}: {} {errcode}", answer.status);
    }
}

#[actix_web::test]
async fn the_server_answers_as_documented() {
    let server = TestServer::start(|_| {});
    let document = document();
    for route in ROUTES {
        let path = route.path.replace("ed25519:0", "{keyId}");
        let admitted = server.api_with_access(route.listener).await;
        for method in route.methods {
            let name = format!("{method} {path}");
            let method: Method = method.parse().unwrap();
            for api in [&server.listener(route.listener), &admitted] {
                for body in ["{}", "[]", r#"{"sid": 1, "medium": 2, "threepids": [1]}"#] {
                    let headers = [("content-type", "application/json")];
                    let answer = api.send(method.clone(), route.path, &headers, body.into());
                    is_documented(&document, &name, &answer.await);
                }
            }
        }
    }
}
