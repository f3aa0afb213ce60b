-- Jobs of several inputs, drafts, estimates; one default webhook a dialect; what callers said that only a dialect reads.

alter table jobs rename column input to inputs;
alter table jobs add column estimate text;
alter table jobs add column cost text;
alter table jobs add column confirmed_at integer;
-- Sealed: request headers for downloads, by the input's name; they often carry credentials.
alter table jobs add column fetch_headers blob;

update jobs set
    inputs = case when inputs is null then null else json_array(json(inputs)) end,
    spec = json_set(json_remove(spec, '$.input'), '$.inputs',
        json_array(json_object('name', 'input', 'source', json(json_extract(spec, '$.input')))));
update events set data = json_set(json_remove(data, '$.input', '$.spec.input'),
    '$.inputs', json(case when json_type(data, '$.input') = 'object'
        then json_array(json(json_extract(data, '$.input'))) else json_array() end),
    '$.spec.inputs', json_array(json_object('name', 'input', 'source', json(json_extract(data, '$.spec.input')))))
where job is not null;

create index jobs_asked on jobs (confirm_until) where confirm_until is not null;

-- Uploads that a job reads; they are not removed while it may.
create table job_uploads (
    upload blob not null,
    job blob not null references jobs (id) on delete cascade,
    primary key (upload, job)
) strict, without rowid;
create index job_uploads_of_job on job_uploads (job);
insert into job_uploads (upload, job) select upload, id from jobs where upload is not null;
drop index jobs_of_upload;
alter table jobs drop column upload;

alter table uploads add column sha1 text not null default '';
alter table uploads add column said text not null default 'null';

create table new_default_webhooks (
    account blob not null references accounts (id),
    dialect text not null,
    endpoint blob not null references endpoints (id) on delete cascade,
    events text not null,
    primary key (account, dialect)
) strict, without rowid;
insert into new_default_webhooks (account, dialect, endpoint, events)
    select account, 'native', endpoint, events from default_webhooks;
drop table default_webhooks;
alter table new_default_webhooks rename to default_webhooks;
create index default_webhooks_of_endpoint on default_webhooks (endpoint);
