//! Many rows inserted by few statements.
//!
//! Rows go as bound values of `values (?, ?), (?, ?), ...`, a fixed number of rows a statement, so that there are few
//! texts and all stay prepared. Measured against one JSON parameter read by `json_each`: the JSON of a kilobyte's body
//! is written, parsed and copied three times before it reaches its row.

use std::sync::OnceLock;

use super::sql::{Query, query};
use super::writer::Tx;
use crate::Result;

/// Rows of one statement, most first; whatever is left goes by the smaller ones.
const SIZES: [usize; 3] = [64, 8, 1];

/// An insert of any number of rows.
pub(super) struct InsertMany {
    /// `insert into table (columns)`.
    into: &'static str,
    /// How many columns.
    columns: usize,
    /// What follows the rows, such as `on conflict do nothing`.
    then: &'static str,
    texts: OnceLock<[String; SIZES.len()]>,
}

impl InsertMany {
    pub(super) const fn new(into: &'static str, columns: usize, then: &'static str) -> Self {
        Self { into, columns, then, texts: OnceLock::new() }
    }

    /// Inserts all; `bind` binds the columns of one row, in order.
    pub(super) fn run<R>(
        &'static self,
        tx: &mut Tx,
        rows: &[R],
        bind: impl for<'q> Fn(Query<'q>, &'q R) -> Query<'q>,
    ) -> Result<()> {
        let texts = self.texts.get_or_init(|| SIZES.map(|size| self.text(size)));
        let mut left = rows;
        for (size, text) in SIZES.into_iter().zip(texts) {
            while let Some((some, others)) = left.split_at_checked(size) {
                let insert = query(text.as_str()).with_room(size * self.columns);
                some.iter().fold(insert, &bind).run(tx)?;
                left = others;
            }
        }
        Ok(())
    }

    fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(", "));
        format!("{} values {} {}", self.into, vec![row; rows].join(", "), self.then)
    }
}
