//! SQL as this module speaks it: a statement, what is bound to it, and the rows that come back.
//!
//! A statement is prepared once for each connection and kept, so its text must not change with its values. Rows are
//! copied out, so that they can go from the thread that read them to whoever asked.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::readers::Readers;
use super::writer::Tx;
use crate::{Result, StoreError};

/// A value as SQLite knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'q> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'q, str>),
    /// A body, shared by all that send it.
    Shared(Arc<str>),
    Bytes(Cow<'q, [u8]>),
    /// An id, which needs no memory of its own.
    Key([u8; 16]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Shared(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Key(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! whole {
    ($($number:ty),*) => {
        $(impl From<$number> for Value<'_> {
            fn from(number: $number) -> Self {
                Self::Integer(number.into())
            }
        })*
    };
}
whole!(bool, u8, u32, i64);

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Arc<str>> for Value<'_> {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(bytes: &'q [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl From<[u8; 16]> for Value<'_> {
    fn from(key: [u8; 16]) -> Self {
        Self::Key(key)
    }
}

impl<'q, T: Into<Self>> From<Option<T>> for Value<'q> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value<'static> {
    fn read(value: ValueRef<'_>) -> Result<Self> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|error| StoreError::corrupt("text", &error))?;
                Self::Text(Cow::Owned(text.to_owned()))
            }
            ValueRef::Blob(bytes) => Self::Bytes(Cow::Owned(bytes.to_vec())),
        })
    }
}

/// A statement and what is bound to it, in the order of its parameters.
#[derive(Debug, Clone)]
pub(super) struct Query<'q> {
    text: Cow<'q, str>,
    values: Vec<Value<'q>>,
}

/// A statement to which nothing is bound yet.
pub(super) fn query<'q>(text: impl Into<Cow<'q, str>>) -> Query<'q> {
    Query { text: text.into(), values: Vec::new() }
}

impl<'q> Query<'q> {
    /// Binds the next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same statement, asked for its plan.
    #[cfg(test)]
    pub(super) fn explained(self) -> Self {
        Self { text: format!("explain query plan {}", self.text).into(), values: self.values }
    }

    /// Runs it and answers how many rows it changed.
    pub(super) fn run(&self, tx: &mut Tx) -> Result<u64> {
        Ok(self.prepare(tx.connection())?.raw_execute()? as u64)
    }

    /// All rows.
    pub(super) fn all(&self, tx: &mut Tx) -> Result<Vec<Row>> {
        self.fetch(tx.connection(), usize::MAX)
    }

    /// The first row, where there is one.
    pub(super) fn first(&self, tx: &mut Tx) -> Result<Option<Row>> {
        Ok(self.fetch(tx.connection(), 1)?.pop())
    }

    /// The row of a query that always has one.
    pub(super) fn one(&self, tx: &mut Tx) -> Result<Row> {
        self.first(tx)?.ok_or(StoreError::NotFound)
    }

    /// At most so many rows, on that connection.
    pub(super) fn fetch(&self, connection: &Connection, most: usize) -> Result<Vec<Row>> {
        let mut statement = self.prepare(connection)?;
        let mut found = statement.raw_query();
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < most
            && let Some(row) = found.next()?
        {
            let columns = match rows.last() {
                Some(row) => Arc::clone(&row.columns),
                None => row.as_ref().column_names().map(Into::into).collect(),
            };
            let values = (0..columns.len()).map(|place| Value::read(row.get_ref(place)?));
            rows.push(Row { values: values.collect::<Result<_>>()?, columns });
        }
        Ok(rows)
    }

    fn prepare<'c>(&self, connection: &'c Connection) -> Result<CachedStatement<'c>> {
        let mut statement = connection.prepare_cached(&self.text)?;
        for (place, value) in self.values.iter().enumerate() {
            statement.raw_bind_parameter(place + 1, value)?;
        }
        Ok(statement)
    }
}

/// Runs a statement once for each row, prepared once, and answers how many rows it changed in all. `bind` binds the
/// parameters in their order.
pub(super) fn each<R>(
    tx: &mut Tx,
    text: &str,
    rows: impl IntoIterator<Item = R>,
    bind: impl Fn(&mut Binder<'_, '_>, R),
) -> Result<u64> {
    let mut statement = tx.connection().prepare_cached(text)?;
    let mut changed = 0;
    for row in rows {
        let mut binder = Binder { statement: &mut statement, place: 0, done: Ok(()) };
        bind(&mut binder, row);
        binder.done?;
        changed += statement.raw_execute()? as u64;
    }
    Ok(changed)
}

/// What stands before the values of an `insert`, how many values a row has, and what stands after them.
pub(super) type Insert = (&'static str, usize, &'static str);

/// Inserts many rows, [`GROUPS`] at once: a statement that writes several opens its tables and their indexes once, and then
/// goes on where it is.
pub(super) fn insert<R>(
    tx: &mut Tx,
    (head, columns, tail): Insert,
    rows: impl IntoIterator<Item = R, IntoIter: ExactSizeIterator>,
    bind: impl Fn(&mut Binder<'_, '_>, R),
) -> Result<()> {
    let values = format!("({})", vec!["?"; columns].join(","));
    let mut rows = rows.into_iter();
    while let Some(group) = GROUPS.into_iter().find(|group| *group <= rows.len()) {
        let text = format!("{head} values {} {tail}", vec![values.as_str(); group].join(","));
        let mut statement = tx.connection().prepare_cached(&text)?;
        let mut binder = Binder { statement: &mut statement, place: 0, done: Ok(()) };
        rows.by_ref().take(group).for_each(|row| bind(&mut binder, row));
        binder.done?;
        statement.raw_execute()?;
    }
    Ok(())
}

/// How many rows one statement inserts: as many as there are of the first of these that is not too many. Few, because
/// each is a statement of its own that is kept.
const GROUPS: [usize; 3] = [32, 8, 1];

/// Binds the parameters of one row.
pub(super) struct Binder<'s, 'c> {
    statement: &'s mut CachedStatement<'c>,
    place: usize,
    done: rusqlite::Result<()>,
}

impl Binder<'_, '_> {
    /// Binds the next parameter.
    pub(super) fn bind<'v>(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.place += 1;
        if self.done.is_ok() {
            self.done = self.statement.raw_bind_parameter(self.place, value.into());
        }
        self
    }
}

impl Query<'static> {
    /// All rows, read beside the writer.
    pub(super) async fn read_all(self, readers: &Readers) -> Result<Vec<Row>> {
        readers.fetch(self, usize::MAX).await
    }

    /// The first row, where there is one, read beside the writer.
    pub(super) async fn read_first(self, readers: &Readers) -> Result<Option<Row>> {
        Ok(readers.fetch(self, 1).await?.pop())
    }

    /// The row of a query that always has one, read beside the writer.
    pub(super) async fn read_one(self, readers: &Readers) -> Result<Row> {
        self.read_first(readers).await?.ok_or(StoreError::NotFound)
    }
}

/// A row, copied out.
#[derive(Debug, Clone)]
pub(super) struct Row {
    columns: Arc<[Box<str>]>,
    values: Vec<Value<'static>>,
}

impl Row {
    /// The value of a column.
    pub(super) fn column<'r, T: Column<'r>>(&'r self, name: &'static str) -> Result<T> {
        let place = self.columns.iter().position(|column| **column == *name);
        let value = place.and_then(|place| self.values.get(place));
        let value = value.ok_or_else(|| StoreError::corrupt(name, &"there is no such column"))?;
        T::read(value).ok_or_else(|| StoreError::corrupt(name, &format_args!("{} was not expected", value.kind())))
    }

    /// The value of the only column.
    pub(super) fn only<'r, T: Column<'r>>(&'r self) -> Result<T> {
        let value = self.values.first().and_then(T::read);
        value.ok_or_else(|| StoreError::corrupt("value", &"it is of another type"))
    }
}

impl Value<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) | Self::Shared(_) => "text",
            Self::Bytes(_) | Self::Key(_) => "bytes",
        }
    }
}

/// What a column can be read as.
pub(super) trait Column<'r>: Sized {
    /// None where the value is of another type.
    fn read(value: &'r Value<'static>) -> Option<Self>;
}

impl<'r> Column<'r> for i64 {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(*number) } else { None }
    }
}

macro_rules! narrow {
    ($($number:ty),*) => {
        $(impl<'r> Column<'r> for $number {
            fn read(value: &'r Value<'static>) -> Option<Self> {
                i64::read(value)?.try_into().ok()
            }
        })*
    };
}
narrow!(u8, u32);

impl<'r> Column<'r> for bool {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        Some(i64::read(value)? != 0)
    }
}

impl<'r> Column<'r> for &'r str {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl<'r> Column<'r> for String {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        <&str>::read(value).map(Into::into)
    }
}

impl<'r> Column<'r> for &'r [u8] {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
    }
}

impl<'r> Column<'r> for Vec<u8> {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        <&[u8]>::read(value).map(Into::into)
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn read(value: &'r Value<'static>) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}
