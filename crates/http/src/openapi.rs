//! The published description, made from the table of routes and the schemas beside it.

use axum::Json;
use serde_json::{Map, Value, json};

use crate::routes::{ROUTES, Route, SCOPES};

/// Schemas of bodies and answers.
const SCHEMAS: &str = include_str!("schemas.json");

/// The whole document.
pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in &ROUTES {
        let path = paths
            .entry(route.path.to_owned())
            .or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lingqian",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What users earn, in their WeChat Wallets: exactly once. Amounts are \
                            integers whose unit is in the name: micro-yuan or fen.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": format!("An API key. Scopes: {}", SCOPES.join(", ")),
                },
            },
        },
    })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn operation(route: &Route) -> Value {
    let problem = json!({
        "description": "A problem; branch on `code`.",
        "content": { "application/problem+json": { "schema": schema("Problem") } },
    });
    let mut success = json!({ "description": "Done." });
    if let Some(name) = route.response {
        success["content"] = json!({ "application/json": { "schema": schema(name) } });
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": { route.status.to_string(): success, "default": problem },
        "security": [],
    });
    if let Some(scope) = route.scope {
        operation["security"] = json!([{ "key": [] }]);
        operation["x-scope"] = json!(scope);
    }
    if let Some(name) = route.request {
        let mut content = json!({ "application/json": { "schema": schema(name) } });
        if name == "Events" {
            content["application/x-ndjson"] = json!({ "schema": { "type": "string" } });
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let path = route.path.replace("/v1", "").replace(['/', '.', '-'], "_");
    let path = path.replace(['{', '}'], "");
    format!("{}{path}", route.method.to_ascii_lowercase())
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let others = route.parameters.iter().map(|name| {
        let header = name.starts_with(char::is_uppercase);
        let place = if header { "header" } else { "query" };
        let kind = if ["limit", "after"].contains(name) {
            "integer"
        } else {
            "string"
        };
        json!({ "name": name, "in": place, "required": *name == "Idempotency-Key", "schema": { "type": kind } })
    });
    in_path.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_exists() {
        let document = document();
        let text = document.to_string();
        let names = text.split("#/components/schemas/").skip(1);
        for name in names.filter_map(|rest| rest.split('"').next()) {
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
        for route in &ROUTES {
            assert!(
                route.scope.is_none_or(|scope| SCOPES.contains(&scope)),
                "{}",
                route.path
            );
        }
    }
}
