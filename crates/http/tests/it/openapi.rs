//! The published description says what the doors do.

use std::collections::BTreeSet;

use lingqian_core::transfer::Finding;
use lingqian_http::ROUTES;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, event_of};

async fn document(world: &World) -> Value {
    let answer = world.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn every_route_is_published_and_nothing_else() {
    let world = World::new().await;
    let document = document(&world).await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let mut published = BTreeSet::new();
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            published.insert((method.to_uppercase(), path.clone()));
        }
    }
    let table = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()));
    assert_eq!(published, table.collect());
}

/// A route that the doors have and the table does not know is answered 405 by the guard, and
/// one that the table has and the doors have not by the router.
#[tokio::test]
async fn every_published_route_is_served_and_no_other_method_is() {
    let world = World::new().await;
    for route in &ROUTES {
        let path = route.path.replace("{id}", "x");
        let taken: Vec<&str> = ROUTES
            .iter()
            .filter(|other| other.path == route.path)
            .map(|other| other.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = world.send(Ask::new(method, &path)).await;
            let served = answer.status != 405 && !answer.text.contains("no_such_route");
            assert_eq!(served, taken.contains(&method), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_route_says_who_may_use_it_and_how_it_fails() {
    let world = World::new().await;
    let document = document(&world).await;
    let mut names = BTreeSet::new();
    for route in &ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
        let security = if route.scope.is_some() {
            json!([{ "key": [] }])
        } else {
            json!([])
        };
        assert_eq!(operation["security"], security, "{name}");
        assert_eq!(operation["x-scope"].as_str(), route.scope);
        let parameters = operation["parameters"].as_array().expect("a list");
        assert_eq!(
            parameters.iter().any(|parameter| parameter["in"] == "path"),
            route.path.contains('{')
        );
    }
    assert_eq!(
        document["components"]["securitySchemes"]["key"]["scheme"],
        "bearer"
    );
}

/// As much of JSON Schema as the document uses.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').expect("a local name");
        let schema = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{name} is not there"));
        return check(document, schema, value, place);
    }
    let allowed = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(
        allowed.contains(&kind),
        "{place} is {kind}, published is {allowed:?}"
    );
    if let Some(list) = value.as_array() {
        list.iter()
            .for_each(|item| check(document, &schema["items"], item, &format!("{place}[]")));
    }
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for (name, member) in members {
        let schema = known
            .get(name)
            .unwrap_or_else(|| panic!("{place}.{name} is not published"));
        check(document, schema, member, &format!("{place}.{name}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(
            members.contains_key(name),
            "{place}.{name} is published and not there"
        );
    }
}

async fn agrees(world: &World, document: &Value, key: (&str, &str), answer: &Answer) {
    let operation = &document["paths"][key.0][key.1];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(
        response.is_object(),
        "{key:?} answered {}: {}",
        answer.status,
        answer.text
    );
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{key:?}");
    check(document, schema, &answer.json(), key.0);
    world.audited().await;
}

#[tokio::test]
async fn answers_have_the_published_form() {
    let world = World::new().await;
    let document = document(&world).await;
    world.linked("u1").await;
    let register = world.post("/v1/users", &json!({ "id": "u2" })).await;
    agrees(&world, &document, ("/v1/users", "post"), &register).await;
    let change = Ask::new("PATCH", "/v1/users/u2").json(&json!({ "frozen": true }));
    agrees(
        &world,
        &document,
        ("/v1/users/{id}", "patch"),
        &world.send(change).await,
    )
    .await;
    let link = world.send(Ask::post("/v1/users/u1/link")).await;
    agrees(&world, &document, ("/v1/users/{id}/link", "post"), &link).await;
    let bad = event_of("ghost", "e1", 1);
    let events = json!([event_of("u1", "e2", 1), event_of("u1", "e2", 1), bad]);
    agrees(
        &world,
        &document,
        ("/v1/events", "post"),
        &world.post("/v1/events", &events).await,
    )
    .await;
    let body = json!({ "user": "u1", "amount_fen": 20, "reference": "r1" });
    agrees(
        &world,
        &document,
        ("/v1/withdrawals", "post"),
        &world.withdraw("k1", &body).await,
    )
    .await;
    world.pay(Finding::Paid).await;
    let id = world.payout("u1", "r2", 20).await;
    let paths = [
        ("/v1/users?limit=1", "/v1/users"),
        ("/v1/users/u1", "/v1/users/{id}"),
        ("/v1/users/u1/statement?limit=1", "/v1/users/{id}/statement"),
        ("/v1/payouts", "/v1/payouts"),
        (&format!("/v1/payouts/{id}"), "/v1/payouts/{id}"),
        ("/v1/bills", "/v1/bills"),
        ("/v1/breaks", "/v1/breaks"),
        ("/v1/dead-letters", "/v1/dead-letters"),
        ("/v1/summary", "/v1/summary"),
    ];
    for (path, template) in paths {
        agrees(&world, &document, (template, "get"), &world.get(path).await).await;
    }
    let cancel = world
        .send(Ask::post(&format!("/v1/payouts/{id}/cancel")))
        .await;
    agrees(
        &world,
        &document,
        ("/v1/payouts/{id}/cancel", "post"),
        &cancel,
    )
    .await;
    let problem = world.withdraw("k1", &json!({ "user": "u1" })).await;
    check(
        &document,
        &json!({ "$ref": "#/components/schemas/Problem" }),
        &problem.json(),
        "problem",
    );
}
