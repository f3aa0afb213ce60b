//! Lists of jobs and deliveries: for each filter a statement whose plan is an index in the order of the list.
//!
//! # Theory of operation
//! A list is read newest first by id. An id begins with the time it was made, so times bound ids, loosely, and are then
//! compared. What filters jobs is one of three indexes, the first that the filter leads to: the marks of jobs
//! (`job_marks`: pairs of metadata, recipes, codes of errors), their states, or all jobs of the account. Several states are
//! one index each, merged. What else is asked for is looked up for each id on the way.
//!
//! The beginning of a name is no order of ids. Where few jobs have it, they are looked up by their names and put in order
//! here; where many have it, a walk from the newest soon finds a page of them.
//!
//! States are literals, which is what lets a partial index be used.

use std::time::Duration;

use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::id::AccountId;
use reelhook_domain::job::{Dialect, JobState};
use reelhook_domain::time::Timestamp;

use super::rows::{json, key};
use super::sql::{Query, Value, query};
use crate::{DeliveryFilter, JobFilter, Page};

/// How far the time in an id may be from the time that its row says.
const APART: Duration = Duration::from_secs(3600);
/// Up to this many jobs are put in order here.
pub(super) const FEW: u32 = 1000;

/// As the indexes have it.
const NAME: &str = "iif(json_valid(jobs.inputs), jobs.inputs ->> '$[0].name', null)";
const OUTPUTS: &str = "
    (select json_group_array(json_array(state, progress, file, plan, receipt, error) order by position)
        from outputs where outputs.job = jobs.id) as outputs";

/// A statement that is put together, and what is bound to it.
#[derive(Debug, Default)]
struct Text {
    sql: String,
    values: Vec<Value<'static>>,
}

impl Text {
    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn with(&mut self, sql: &str, value: impl Into<Value<'static>>) {
        self.sql.push_str(sql);
        self.values.push(value.into());
    }

    fn query(self) -> Query<'static> {
        self.values.into_iter().fold(query(self.sql), Query::bind)
    }
}

/// The ids from the first, and before the last.
#[derive(Debug, Clone, Copy)]
struct Ids {
    first: u128,
    end: u128,
}

impl Ids {
    fn new(before: Option<u128>, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let bits = |time: Timestamp| (time.as_millis().max(0) as u128) << 80;
        let first = since.map_or(0, |since| bits(since - APART));
        let end = until.map_or(u128::MAX, |until| bits(until + APART));
        Self { first, end: end.min(before.unwrap_or(u128::MAX)) }
    }

    fn within(self, range: Option<(u128, u128)>) -> Self {
        let (first, last) = range.unwrap_or((0, u128::MAX));
        Self { first: self.first.max(first), end: self.end.min(last.saturating_add(1)) }
    }

    fn bound(self, column: &str, text: &mut Text) {
        text.with(&format!(" and {column} >= ?"), self.first.to_be_bytes());
        text.with(&format!(" and {column} < ?"), self.end.to_be_bytes());
    }
}

/// A mark that a job has.
#[derive(Debug, Clone, Copy)]
enum Mark<'f> {
    Metadata(&'f str, &'f str),
    Recipe(&'f str),
    Error(&'f str),
}

impl Mark<'_> {
    /// Spelled by SQLite, as the triggers spell it.
    fn equals(self, text: &mut Text) {
        match self {
            Self::Metadata(name, value) => {
                text.with("json_array('metadata', ?", name.to_owned());
                text.with(", ?)", value.to_owned());
            }
            Self::Recipe(recipe) => text.with("json_array('recipe', ?)", recipe.to_owned()),
            Self::Error(code) => text.with("json_array('error', ?)", code.to_owned()),
        }
    }
}

fn marks(filter: &JobFilter) -> Vec<Mark<'_>> {
    let metadata = filter.metadata.iter().map(|(name, value)| Mark::Metadata(name, value));
    let error = filter.error.as_deref().map(Mark::Error);
    // The one that fewest jobs have goes first, as far as can be guessed.
    metadata.chain(error).chain(filter.recipe.as_deref().map(Mark::Recipe)).collect()
}

/// The states that are asked for, each by its own name; an unknown one is in no job.
fn states(filter: &JobFilter) -> Vec<&'static str> {
    let mut states: Vec<_> =
        JobState::NAMES.iter().copied().filter(|name| filter.states.iter().any(|state| state == name)).collect();
    states.dedup();
    states
}

/// Which jobs a statement looks for.
#[derive(Debug, Clone, Copy)]
struct Wanted<'f> {
    account: AccountId,
    filter: &'f JobFilter,
    ids: Ids,
}

impl Wanted<'_> {
    /// The ids of all of them, newest first.
    fn write(self, text: &mut Text) {
        let states = states(self.filter);
        let marks = marks(self.filter);
        if let Some((first, others)) = marks.split_first() {
            text.with("select one.job as id from job_marks as one where one.account = ?", key(self.account));
            text.push(" and one.mark = ");
            first.equals(text);
            self.ids.bound("one.job", text);
            self.marked(others, "one.job", text);
            let mut jobs = Text::default();
            self.state_in(&states, &mut jobs);
            self.compare(&mut jobs);
            if !jobs.sql.is_empty() {
                text.push(" and exists (select 1 from jobs where jobs.id = one.job");
                text.push(&jobs.sql);
                text.values.extend(jobs.values);
                text.push(")");
            }
            text.push(" order by one.job desc");
        } else if self.filter.states.is_empty() {
            text.with("select id from jobs indexed by jobs_of_account where account = ?", key(self.account));
            self.ids.bound("id", text);
            self.compare(text);
            text.push(" order by id desc");
        } else if states.is_empty() {
            text.push("select null as id where false");
        } else {
            for (place, state) in states.iter().enumerate() {
                text.push(if place == 0 { "" } else { " union all " });
                text.with("select id from jobs indexed by jobs_of_state where account = ?", key(self.account));
                text.push(&format!(" and state = '{state}'"));
                self.ids.bound("id", text);
                self.compare(text);
            }
            text.push(" order by id desc");
        }
    }

    fn state_in(self, states: &[&str], text: &mut Text) {
        if !self.filter.states.is_empty() {
            text.push(&format!(" and jobs.state in ('{}')", states.join("', '")));
        }
    }

    fn marked(self, marks: &[Mark<'_>], job: &str, text: &mut Text) {
        for mark in marks {
            text.with(" and exists (select 1 from job_marks as other where other.account = ?", key(self.account));
            text.push(" and other.mark = ");
            mark.equals(text);
            text.push(&format!(" and other.job = {job})"));
        }
    }

    /// What no index leads to.
    fn compare(self, text: &mut Text) {
        if let Some(since) = self.filter.since {
            text.with(" and jobs.created_at >= ?", since.as_millis());
        }
        if let Some(until) = self.filter.until {
            text.with(" and jobs.created_at < ?", until.as_millis());
        }
        if let Some(dialect) = self.filter.dialect {
            text.with(" and jobs.spec ->> '$.dialect' = ?", Dialect::as_str(dialect));
        }
        if let Some(name) = &self.filter.name {
            named(name, text);
        }
    }
}

/// No character comes after the last one, so a text that begins with another comes before that with it.
fn named(begin: &str, text: &mut Text) {
    text.with(&format!(" and {NAME} >= ?"), begin.to_owned());
    text.with(&format!(" and {NAME} < ?"), format!("{begin}\u{10ffff}"));
}

/// A page of jobs.
pub(super) fn jobs(account: AccountId, filter: &JobFilter, page: Page) -> Query<'static> {
    let ids = Ids::new(page.before, filter.since, filter.until).within(filter.ids);
    let mut text = Text::default();
    text.push(&format!("select jobs.*, {OUTPUTS} from ("));
    Wanted { account, filter, ids }.write(&mut text);
    text.with(" limit ?) as page cross join jobs on jobs.id = page.id", page.limit);
    text.query()
}

/// A part of the jobs, by place.
pub(super) fn jobs_from(account: AccountId, filter: &JobFilter, offset: i64, limit: u32) -> Query<'static> {
    let ids = Ids::new(None, filter.since, filter.until).within(filter.ids);
    let mut text = Text::default();
    text.push(&format!("select jobs.*, {OUTPUTS} from ("));
    Wanted { account, filter, ids }.write(&mut text);
    text.with(" limit ?", limit);
    text.with(" offset ?) as page cross join jobs on jobs.id = page.id", offset);
    text.query()
}

/// How many jobs there are.
pub(super) fn count_jobs(account: AccountId, filter: &JobFilter) -> Query<'static> {
    let ids = Ids::new(None, filter.since, filter.until).within(filter.ids);
    let mut text = Text::default();
    text.push("select count(*) as count from (");
    Wanted { account, filter, ids }.write(&mut text);
    text.push(")");
    text.query()
}

/// The ids of the jobs whose name begins so, in no order: one more than few at most.
pub(super) fn jobs_named(account: AccountId, name: &str) -> Query<'static> {
    let mut text = Text::default();
    text.with("select id from jobs indexed by jobs_of_name where account = ?", key(account));
    text.push(&format!(" and {NAME} is not null"));
    named(name, &mut text);
    text.with(" limit ?", FEW + 1);
    text.query()
}

/// A page of the jobs of these ids, which are in the order of the list.
pub(super) fn jobs_of(account: AccountId, filter: &JobFilter, page: Page, mut ids: Vec<u128>) -> Query<'static> {
    let range = Ids::new(page.before, filter.since, filter.until).within(filter.ids);
    ids.retain(|id| (range.first..range.end).contains(id));
    ids.sort_unstable_by(|left, right| right.cmp(left));
    let wanted = Wanted { account, filter, ids: range };
    let ids: Vec<_> = ids.iter().map(|id| format!("{id:032x}")).collect();
    let mut text = Text::default();
    text.push(&format!("select jobs.*, {OUTPUTS} from json_each("));
    text.with("?) as row cross join jobs on jobs.id = unhex(row.value)", json(&ids));
    text.with(" where jobs.account = ?", key(account));
    wanted.state_in(&states(filter), &mut text);
    wanted.compare(&mut text);
    wanted.marked(&marks(filter), "jobs.id", &mut text);
    text.with(" limit ?", page.limit);
    text.query()
}

/// How a page of deliveries is read.
pub(super) enum Deliveries {
    /// In the order of the list.
    Page(Query<'static>),
    /// Ids in no order, few; what they are the ids of is read by [`deliveries_of`].
    Ids(Query<'static>),
}

/// A page of deliveries; none for a state that there is not.
///
/// To one endpoint deliveries are ordered by their number there, which is the order they were made in; all others by id.
pub(super) fn deliveries(account: AccountId, filter: &DeliveryFilter, page: Page) -> Option<Deliveries> {
    let state = match &filter.state {
        Some(state) => Some(*DeliveryState::NAMES.iter().find(|name| *name == state)?),
        None => None,
    };
    let mut text = Text::default();
    let before = page.before.map(u128::to_be_bytes);
    if filter.job.is_some() || (filter.endpoint.is_none() && state == Some("sending")) {
        // Of one job there are few, and few are being sent.
        match filter.job {
            Some(job) => {
                // A plus keeps the planner from the index of an account or of an endpoint, which have far more.
                text.with("select id from deliveries where event in (select id from events where job = ?)", key(job));
                if let Some(endpoint) = filter.endpoint {
                    text.with(" and +endpoint = ?", key(endpoint));
                }
            }
            None => text.push("select id from deliveries indexed by deliveries_leased where lease_until is not null"),
        }
        text.with(" and +account = ?", key(account));
        others(&DeliveryFilter { endpoint: None, ..filter.clone() }, state, &mut text);
        return Some(Deliveries::Ids(text.query()));
    }
    if let Some(endpoint) = filter.endpoint {
        let index = match state {
            Some("scheduled" | "held" | "exhausted" | "canceled") => "deliveries_not_delivered",
            _ => "deliveries_of_endpoint",
        };
        text.with(&format!("select * from deliveries indexed by {index} where endpoint = ?"), key(endpoint));
        if index == "deliveries_not_delivered" {
            text.push(" and state in ('scheduled', 'held', 'exhausted', 'canceled')");
        }
        text.with(" and account = ?", key(account));
        if let Some(before) = before {
            text.with(" and sequence < (select sequence from deliveries where id = ?)", before);
        }
        let filter = DeliveryFilter { endpoint: None, ..filter.clone() };
        others(&filter, state, &mut text);
        text.with(" order by sequence desc limit ?", page.limit);
        return Some(Deliveries::Page(text.query()));
    }
    let index = match (state, &filter.event_type) {
        (Some("scheduled"), _) => "deliveries_scheduled",
        (Some("held"), _) => "deliveries_held_of",
        (Some("exhausted"), _) => "deliveries_exhausted",
        (Some("canceled"), _) => "deliveries_canceled",
        (_, Some(_)) => "deliveries_of_type",
        (Some("delivered"), None) => "deliveries_delivered",
        (_, None) => "deliveries_of_account",
    };
    text.with(&format!("select * from deliveries indexed by {index} where account = ?"), key(account));
    if index == "deliveries_scheduled" {
        text.push(" and due_at is not null");
    }
    Ids::new(page.before, filter.since, None).bound("id", &mut text);
    others(filter, state, &mut text);
    text.with(" order by id desc limit ?", page.limit);
    Some(Deliveries::Page(text.query()))
}

fn others(filter: &DeliveryFilter, state: Option<&str>, text: &mut Text) {
    if let Some(state) = state {
        text.push(&format!(" and state = '{state}'"));
    }
    if let Some(endpoint) = filter.endpoint {
        text.with(" and endpoint = ?", key(endpoint));
    }
    if let Some(event_type) = &filter.event_type {
        text.with(" and event_type = ?", event_type.clone());
    }
    if let Some(since) = filter.since {
        text.with(" and created_at >= ?", since.as_millis());
    }
}

/// A page of the deliveries of these ids; `filter` is compared once more.
pub(super) fn deliveries_of(filter: &DeliveryFilter, page: Page, mut ids: Vec<u128>) -> Query<'static> {
    ids.retain(|id| page.before.is_none_or(|before| *id < before));
    ids.sort_unstable_by(|left, right| right.cmp(left));
    ids.truncate(page.limit as usize);
    let ids: Vec<_> = ids.iter().map(|id| format!("{id:032x}")).collect();
    let mut text = Text::default();
    text.push("select deliveries.* from json_each(");
    text.with("?) as row cross join deliveries on deliveries.id = unhex(row.value)", json(&ids));
    if let Some(state) =
        filter.state.as_deref().and_then(|state| DeliveryState::NAMES.iter().find(|name| **name == state))
    {
        text.push(&format!(" where state = '{state}'"));
    }
    text.query()
}
