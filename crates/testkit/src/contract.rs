//! The document of an API, and holding answers to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

/// An OpenAPI document.
#[derive(Debug)]
pub struct Contract {
    document: Value,
    /// The schemas that were needed so far, by where they stand.
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Contract {
    /// Reads a document.
    pub fn new(document: &str) -> Self {
        let document = serde_json::from_str(document).expect("the document is JSON");
        Self { document, validators: Mutex::default() }
    }

    /// What is wrong with an answer, by the document; `None` where nothing is. A path that the document does not have may
    /// only be refused.
    pub fn judge(&self, method: &str, path: &str, status: u16, content_type: &str, body: &[u8]) -> Option<String> {
        let Some((template, operation)) = self.operation(method, path) else {
            return (status < 400).then(|| format!("{method} {path} is not in the document"));
        };
        let answers = &operation["responses"];
        let Some(answer) = answers.get(status.to_string()) else {
            return Some(format!("{method} {template} answers {status}, which the document does not have"));
        };
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let content = answer.get("content").filter(|_| !body.is_empty())?;
        let Some(schema) = content.get(media) else {
            let known: Vec<_> = content.as_object().into_iter().flat_map(|media| media.keys()).collect();
            return Some(format!("{method} {template} answers {status} with {media}; the document has {known:?}"));
        };
        if !media.ends_with("json") || schema.get("schema").is_none() {
            return None;
        }
        let place = format!("{method} {template} {status} {media}");
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return Some(format!("{method} {template} answers {status} with what is no JSON: {error}")),
        };
        let error = self
            .validator(&place, &schema["schema"])
            .iter_errors(&value)
            .next()
            .map(|error| format!("{method} {template} answers {status}: {error} at {}", error.instance_path()));
        error.map(|error| format!("{error}\n{value:#}"))
    }

    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<_> = path.split('/').collect();
        let fits = |template: &str| {
            let own: Vec<_> = template.split('/').collect();
            own.len() == parts.len() && own.iter().zip(&parts).all(|(own, part)| own.starts_with('{') || own == part)
        };
        let paths = self.document["paths"].as_object()?;
        // A word goes before a name in braces.
        let mut found: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
        found.sort_by_key(|(template, _)| template.matches('{').count());
        let (template, operations) = *found.first()?;
        Some((template, operations.get(method.to_lowercase())?))
    }

    fn validator(&self, place: &str, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let made = validators.entry(place.to_owned()).or_insert_with(|| {
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "allOf": [schema],
                "components": self.document["components"],
            });
            Arc::new(jsonschema::validator_for(&schema).expect("the document's schemas are sound"))
        });
        Arc::clone(made)
    }
}
