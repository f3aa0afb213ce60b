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
    /// Pairs of fields that are both there or not.
    together: Vec<(&'static str, &'static str)>,
    /// The field that says which of some shapes the rest has, and those shapes by its values.
    variants: Option<(&'static str, Vec<(&'static str, Self)>)>,
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

    /// Notes the pattern of a text, unless a closer one is noted already.
    pub(super) fn note_pattern(&mut self, name: &'static str, pattern: &str) {
        if self.fields.get(name).is_none_or(|known| known.get("pattern").is_none()) {
            self.note(name, json!({"pattern": pattern}));
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
            let is_not_null = schema["not"]["type"] == "null";
            let schema = if has_to_be || is_not_null { schema } else { nullable(schema) };
            ((*name).to_owned(), schema)
        };
        let fields: Map<String, Value> = self.fields.iter().map(field).collect();
        let mut schema = json!({"type": "object", "properties": fields, "additionalProperties": false});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        let wrong: Vec<Value> = self.wrong().collect();
        if !wrong.is_empty() {
            schema["not"] = json!({"anyOf": wrong});
        }
        schema
    }

    /// What must not be: two fields that exclude each other, none of those of which one has to be there, and one without the
    /// other of two that go together. It stands in the schema as what is not allowed, which clients that are made of it pass
    /// over, as they should.
    fn wrong(&self) -> impl Iterator<Item = Value> {
        let there = |name: &str| json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}});
        let both = move |(one, other): (&str, &str)| json!({"allOf": [there(one), there(other)]});
        let pairs = |names: &Vec<&'static str>| {
            let names = names.clone();
            (1..names.len()).flat_map(move |at| names[..at].iter().map(|one| (*one, names[at])).collect::<Vec<_>>())
        };
        let none = move |names: &Vec<&'static str>| {
            let absent: Vec<Value> = names.iter().map(|name| json!({"not": there(name)})).collect();
            json!({"allOf": absent})
        };
        let excluded = self.exclusive.iter().chain(&self.one_of).flat_map(pairs).map(both);
        let apart = move |(name, other): &(&str, &str)| {
            json!({"anyOf": [
                {"allOf": [there(name), {"not": there(other)}]},
                {"allOf": [there(other), {"not": there(name)}]},
            ]})
        };
        excluded.chain(self.one_of.iter().map(none)).chain(self.together.iter().map(apart))
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
