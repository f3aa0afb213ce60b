//! The schemas of requests: what the readers take, with a sentence for each field.

use std::collections::BTreeSet;

use reelhook_dialects::native::{origin, request};
use reelhook_domain::form::Shape;
use reelhook_domain::recipe::Recipe;
use serde_json::{Map, Value, json};

use super::prose::{EXAMPLES, FIELDS, REQUESTS};
use crate::routes::{rotate_service_shape, rotate_shape};

/// The field of an output that names its recipe.
const RECIPE: &str = "recipe";

/// The shapes of all requests, by the names of their schemas.
pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let mut shapes = request::shapes();
    shapes.push(("OriginRequest", origin::shape()));
    shapes.push(("RotateRequest", rotate_shape()));
    shapes.push(("RotateSecretRequest", rotate_service_shape()));
    shapes
}

/// Puts the schemas of requests into those of the document, in the place of what stands for them there. Every recipe
/// becomes a schema of its own, so that clients which are made of the document have a type for it.
pub(super) fn describe(schemas: &mut Map<String, Value>) {
    for (name, shape) in shapes() {
        let mut schema = shape.schema();
        say(&mut schema, name);
        if let Some((_, text)) = REQUESTS.iter().find(|(request, _)| *request == name) {
            schema["description"] = (*text).into();
        }
        if let Some((_, text)) = EXAMPLES.iter().find(|(request, _)| *request == name) {
            schema["examples"] = json!([serde_json::from_str::<Value>(text).expect("an example is JSON")]);
        }
        schemas.insert(name.to_owned(), schema);
    }
    open_outputs(schemas);
    let Some(outputs) = schemas.get_mut("JobRequest").and_then(|job| job["properties"]["outputs"].get_mut("items"))
    else {
        return;
    };
    let variants = outputs["oneOf"].take();
    *outputs = json!({"$ref": "#/components/schemas/OutputRequest"});
    let (mut references, mut mapping) = (Vec::new(), Map::new());
    for mut variant in variants.as_array().cloned().unwrap_or_default() {
        let recipe = variant["properties"][RECIPE]["const"].as_str().unwrap_or_default().to_owned();
        let name = format!("{}Output", pascal(&recipe));
        let reference = format!("#/components/schemas/{name}");
        references.push(json!({"$ref": reference}));
        mapping.insert(recipe.clone(), reference.into());
        adopt(&mut variant, &pascal(&recipe), schemas);
        schemas.insert(name, variant);
    }
    let output = json!({
        "description": "An output to create: a recipe with its parameters, and a name.",
        "oneOf": references,
        "discriminator": {"propertyName": RECIPE, "mapping": mapping},
    });
    schemas.insert("OutputRequest".to_owned(), output);
}

/// An output as it is shown has its recipe's parameters among its own fields. Those of each recipe stand with the
/// requests; here they are what else there is.
fn open_outputs(schemas: &mut Map<String, Value>) {
    for output in schemas.values_mut() {
        let parts = output["allOf"].as_array().cloned().unwrap_or_default();
        let [recipe, own] = parts.as_slice() else { continue };
        if recipe["$ref"] != "#/components/schemas/Recipe" {
            continue;
        }
        let text = output["description"].take();
        *output = own.clone();
        output["description"] = text;
        output["properties"][RECIPE] = json!({"type": "string", "enum": Recipe::NAMES, "description": "Name of the recipe. Its parameters are fields beside it."});
        if let Some(required) = output["required"].as_array_mut() {
            required.push(RECIPE.into());
        }
        output["additionalProperties"] = true.into();
    }
}

/// Leaves the schemas that something refers to.
pub(super) fn prune(document: &mut Value) {
    let mut found = BTreeSet::new();
    let mut open: Vec<Value> = vec![document["paths"].clone(), document["webhooks"].clone()];
    while let Some(part) = open.pop() {
        let mut names = Vec::new();
        references(&part, &mut names);
        for name in names {
            if found.insert(name.clone()) {
                open.push(document["components"]["schemas"][&name].clone());
            }
        }
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| found.contains(name));
    }
}

fn references(part: &Value, found: &mut Vec<String>) {
    match part {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
                found.push(name.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The words of a recipe's schema, as it is kept with jobs, for its fields in a request.
fn adopt(variant: &mut Value, recipe: &str, schemas: &Map<String, Value>) {
    let Some(kept) = schemas.get(recipe) else { return };
    if let Some(text) = kept.get("description") {
        variant["description"] = text.clone();
    }
    let Some(fields) = variant["properties"].as_object_mut() else { return };
    for (name, field) in fields {
        if let Some(text) = described(kept, name, schemas)
            && field.get("description").is_none()
        {
            field["description"] = text;
        }
    }
}

/// What a schema, or one that it holds, says of a field.
fn described(schema: &Value, field: &str, schemas: &Map<String, Value>) -> Option<Value> {
    let kept = &schema["properties"][field];
    // Of a field that may be absent it is said beside the reference to its type.
    let within = || kept["oneOf"].as_array()?.iter().find_map(|part| part.get("description"));
    let own = kept.get("description").or_else(within).cloned();
    let referred = || {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        described(schemas.get(name)?, field, schemas)
    };
    let parts = || ["allOf", "oneOf"].iter().filter_map(|part| schema[part].as_array()).flatten();
    own.or_else(referred).or_else(|| parts().find_map(|part| described(part, field, schemas)))
}

/// Puts a sentence to each field: by the schema's own name for it where it has one, by that of all requests otherwise.
fn say(schema: &mut Value, request: &str) {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, field) in fields {
            let own = format!("{request}.{name}");
            let text = FIELDS.iter().find(|(path, _)| *path == own);
            let text = text.or_else(|| FIELDS.iter().find(|(path, _)| path == name));
            if let Some((_, text)) = text {
                field["description"] = (*text).into();
            }
            say(field, name);
        }
    }
    for part in ["items", "anyOf", "oneOf"] {
        match schema.get_mut(part) {
            Some(Value::Array(parts)) => parts.iter_mut().for_each(|part| say(part, request)),
            Some(items @ Value::Object(_)) => say(items, request),
            _ => {}
        }
    }
}

/// `extract_audio` as `ExtractAudio`.
fn pascal(word: &str) -> String {
    let capital = |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect();
    word.split('_').map(capital).collect::<Vec<String>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelhook_dialects::Unjudged;

    fn paths(schema: &Value, at: &str, found: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if field.get("description").is_none() && name != RECIPE {
                found.push(format!("{at}.{name}"));
            }
            paths(field, &format!("{at}.{name}"), found);
        }
        for part in ["items", "anyOf", "oneOf"] {
            match &schema[part] {
                Value::Array(parts) => parts.iter().for_each(|part| paths(part, at, found)),
                items @ Value::Object(_) => paths(items, at, found),
                _ => {}
            }
        }
    }

    fn words(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                for word in ["enum", "const"].iter().filter_map(|name| fields.get(*name)) {
                    let words = word.as_array().cloned().unwrap_or_else(|| vec![word.clone()]);
                    found.extend(words.iter().filter_map(|word| word.as_str().map(ToOwned::to_owned)));
                }
                fields.values().for_each(|value| words(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| words(item, found)),
            _ => {}
        }
    }

    #[test]
    fn words_are_spelled_as_they_are_sent() {
        let document: Value = serde_json::from_str(&super::super::document()).unwrap();
        let mut found = Vec::new();
        words(&document["components"], &mut found);
        assert!(found.contains(&"extract_audio".to_owned()) && found.contains(&"480p".to_owned()));
        let names_of_rust: Vec<_> = found.iter().filter(|word| word.contains(char::is_uppercase)).collect();
        assert_eq!(names_of_rust, Vec::<&String>::new());
    }

    #[test]
    fn every_request_has_an_example_that_is_taken() {
        for (name, _) in shapes() {
            let (_, text) = EXAMPLES.iter().find(|(example, _)| *example == name).unwrap_or_else(|| panic!("{name}"));
            let value: Value = serde_json::from_str(text).unwrap();
            let taken = match name {
                "JobRequest" => request::job(value, request::Bytes::Named, &Unjudged).map(drop),
                "EndpointRequest" => request::endpoint(value, &Unjudged).map(drop),
                "EndpointPatch" => request::endpoint_patch(value, &Unjudged).map(drop),
                "SettingsRequest" => request::settings(value, &Unjudged).map(drop),
                "RetentionRequest" => request::retention(value, 30).map(drop),
                "PublishRequest" => request::publish(value).map(drop),
                "RecoverRequest" => request::recover(value).map(drop),
                "ReplayRequest" => request::replay(value).map(drop),
                "KeyRequest" => request::key(value).map(drop),
                "SecretRequest" => request::secret(value).map(drop),
                "RetryRequest" => request::retry(value).map(drop),
                "OriginRequest" => origin::read(value, &Unjudged).map(drop),
                "RotateRequest" | "RotateSecretRequest" => Ok(()),
                other => panic!("{other} has no reader here"),
            };
            assert_eq!(taken, Ok(()), "{name}");
        }
    }

    #[test]
    fn every_operation_is_described() {
        let document: Value = serde_json::from_str(&super::super::document()).unwrap();
        let mut bare = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if operation["summary"].as_str().is_none() || operation["description"].as_str().is_none() {
                    bare.push(format!("{method} {path}"));
                }
            }
        }
        assert_eq!(bare, Vec::<String>::new());
    }

    #[test]
    fn every_field_of_a_request_has_a_sentence() {
        let document: Value = serde_json::from_str(&super::super::document()).unwrap();
        let mut bare = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            if name.ends_with("Request") || name.ends_with("Patch") || name.ends_with("Output") && name != "Output" {
                paths(schema, name, &mut bare);
            }
        }
        assert_eq!(bare, Vec::<String>::new());
    }
}
