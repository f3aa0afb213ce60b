//! What a reader takes, as a JSON Schema: noted by the [`Form`](super::Form) while the reader reads nothing.
//!
//! The document of the API is made of it, so that it cannot say anything else than what is read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The fields that a reader takes from an object.
#[derive(Debug, Default)]
pub struct Shape {
    fields: BTreeMap<&'static str, Value>,
    required: BTreeSet<&'static str>,
    /// Fields that null clears, whether they have to be there or not.
    cleared: BTreeSet<&'static str>,
    /// Of each list, exactly one field is there.
    one_of: Vec<Vec<&'static str>>,
    /// Of each list, at most one field is there.
    exclusive: Vec<Vec<&'static str>>,
    /// One of these fields is there, with that value where one is told.
    any_of: Vec<(&'static str, Option<Value>)>,
    /// Pairs of fields that are both there or not.
    together: Vec<(&'static str, &'static str)>,
    /// The field that says which of some shapes the rest has, and those shapes by its values.
    variants: Option<(&'static str, Vec<(&'static str, Shape)>)>,
}

impl Shape {
    /// Notes a field. What says more of it stays: a reader may take a field by its type in one place, and put it aside in
    /// another.
    pub(super) fn note(&mut self, name: &'static str, schema: Value) {
        let known = self.fields.entry(name).or_insert_with(|| json!({}));
        if let (Value::Object(known), Value::Object(schema)) = (known, schema) {
            known.extend(schema);
        }
    }

    pub(super) fn require(&mut self, name: &'static str) {
        self.required.insert(name);
    }

    pub(super) fn clear(&mut self, name: &'static str) {
        self.cleared.insert(name);
    }

    pub(super) fn exactly_one(&mut self, names: &[&'static str]) {
        self.one_of.push(names.to_vec());
    }

    pub(super) fn at_most_one(&mut self, names: &[&'static str]) {
        self.exclusive.push(names.to_vec());
    }

    pub(super) fn at_least_one(&mut self, fields: Vec<(&'static str, Option<Value>)>) {
        self.any_of = fields;
    }

    pub(super) fn depend(&mut self, name: &'static str, other: &'static str) {
        self.together.push((name, other));
    }

    pub(super) fn vary(&mut self, name: &'static str, variants: Vec<(&'static str, Self)>) {
        self.variants = Some((name, variants));
    }

    /// The fields that are taken whatever the variant is.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.fields.keys().copied()
    }

    /// The names of the variants with their shapes, and the field that names them.
    pub fn variants(&self) -> Option<(&'static str, &[(&'static str, Self)])> {
        self.variants.as_ref().map(|(name, variants)| (*name, variants.as_slice()))
    }

    /// The same as a JSON Schema (2020-12) of an object that takes nothing else. Variants stand in it as `oneOf`.
    pub fn schema(&self) -> Value {
        let Some((name, variants)) = &self.variants else { return self.object() };
        let variant = |(word, shape): &(&'static str, Self)| {
            let mut fields = self.fields.clone();
            for (name, schema) in &shape.fields {
                fields.insert(*name, schema.clone());
            }
            fields.insert(*name, json!({"type": "string", "const": word}));
            let required = self.required.union(&shape.required).copied().chain([*name]).collect();
            let one_of = self.one_of.iter().chain(&shape.one_of).cloned().collect();
            let exclusive = self.exclusive.iter().chain(&shape.exclusive).cloned().collect();
            Self { fields, required, one_of, exclusive, ..Self::default() }.object()
        };
        json!({"oneOf": variants.iter().map(variant).collect::<Vec<_>>()})
    }

    fn object(&self) -> Value {
        let field = |(name, schema): (&&'static str, &Value)| {
            let mut schema = schema.clone();
            // What has to be there has no default.
            if self.required.contains(name)
                && let Value::Object(schema) = &mut schema
            {
                schema.remove("default");
            }
            let has_to_be = self.required.contains(name) && !self.cleared.contains(name);
            let is_of_other = self.together.iter().any(|(own, _)| own == name);
            let schema = if has_to_be || is_of_other { schema } else { nullable(schema) };
            ((*name).to_owned(), schema)
        };
        let fields: Map<String, Value> = self.fields.iter().map(field).collect();
        let mut schema = json!({"type": "object", "properties": fields, "additionalProperties": false});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        let alone = |names: &Vec<&'static str>| json!(names.iter().copied().map(not_null).collect::<Vec<_>>());
        if let [names] = self.one_of.as_slice() {
            schema["oneOf"] = alone(names);
        }
        if !self.any_of.is_empty() {
            let there = |(name, value): &(&'static str, Option<Value>)| match value {
                Some(value) => json!({"required": [name], "properties": {*name: {"const": value}}}),
                None => not_null(name),
            };
            schema["anyOf"] = json!(self.any_of.iter().map(there).collect::<Vec<_>>());
        }
        let both = self.together.iter().flat_map(|(name, other)| [(*name, [*other]), (*other, [*name])]);
        let both: BTreeMap<_, _> = both.collect();
        if !both.is_empty() {
            schema["dependentRequired"] = json!(both);
        }
        let pairs = |names: &Vec<&'static str>| {
            let names = names.clone();
            (1..names.len()).flat_map(move |at| {
                let (name, before) = (names[at], names[..at].to_vec());
                before.into_iter().map(move |other| json!({"not": {"required": [other, name]}}))
            })
        };
        let excluded: Vec<Value> = self.exclusive.iter().flat_map(pairs).collect();
        if !excluded.is_empty() {
            schema["allOf"] = excluded.into();
        }
        schema
    }
}

/// The same, or null, which a reader takes for a field that is absent.
fn nullable(mut schema: Value) -> Value {
    let is_combined = ["oneOf", "anyOf", "allOf", "not"].iter().any(|word| schema.get(*word).is_some());
    let Some(kind) = schema.get("type").cloned().filter(|_| !is_combined) else {
        let is_any = schema.as_object().is_some_and(Map::is_empty);
        return if is_any { schema } else { json!({"anyOf": [schema, {"type": "null"}]}) };
    };
    schema["type"] = json!([kind, "null"]);
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

/// The field is there, and is not null.
fn not_null(name: &str) -> Value {
    json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}})
}
