-- What lists are read from: whatever they are filtered by, in the order that they are shown in.

drop index jobs_of_account;
-- With what a walk compares, so that it need not read the jobs.
create index jobs_of_account on jobs (account, id, created_at, iif(json_valid(inputs), inputs ->> '$[0].name', null));
create index jobs_of_state on jobs (account, state, id, created_at);
create index jobs_of_name on jobs (account, iif(json_valid(inputs), inputs ->> '$[0].name', null), id) where iif(json_valid(inputs), inputs ->> '$[0].name', null) is not null;

-- What a job can be found by: each of its pairs of metadata, recipes and codes of errors, as a JSON array such as
-- `["metadata","order","1234"]`, `["recipe","compress"]` or `["error","input_truncated"]`. Kept by triggers, which pass over
-- what is damaged: whoever reads it is told.
create table job_marks (
    account blob not null,
    mark text not null,
    job blob not null,
    primary key (account, mark, job)
) strict, without rowid;
create index job_marks_of_job on job_marks (job, mark);

insert into job_marks (account, mark, job)
    select account, json_array('metadata', pair.key, pair.value), jobs.id
    from jobs, json_each(iif(json_valid(jobs.spec), jobs.spec, '{}'), '$.metadata') as pair where true
    on conflict do nothing;
insert into job_marks (account, mark, job)
    select account, json_array('recipe', output.value ->> '$.recipe'), jobs.id
    from jobs, json_each(iif(json_valid(jobs.spec), jobs.spec, '{}'), '$.outputs') as output where true
    on conflict do nothing;
insert into job_marks (account, mark, job)
    select account, json_array('error', iif(json_valid(error), error ->> '$.code', null)), id from jobs where error is not null
    on conflict do nothing;
insert into job_marks (account, mark, job)
    select jobs.account, json_array('error', iif(json_valid(outputs.error), outputs.error ->> '$.code', null)), jobs.id
    from outputs join jobs on jobs.id = outputs.job where outputs.error is not null
    on conflict do nothing;

create trigger jobs_marked after insert on jobs begin
    insert into job_marks (account, mark, job)
        select new.account, json_array('metadata', pair.key, pair.value), new.id
        from json_each(iif(json_valid(new.spec), new.spec, '{}'), '$.metadata') as pair where true
        on conflict do nothing;
    insert into job_marks (account, mark, job)
        select new.account, json_array('recipe', output.value ->> '$.recipe'), new.id
        from json_each(iif(json_valid(new.spec), new.spec, '{}'), '$.outputs') as output where true
        on conflict do nothing;
    insert into job_marks (account, mark, job)
        select new.account, json_array('error', iif(json_valid(new.error), new.error ->> '$.code', null)), new.id where new.error is not null
        on conflict do nothing;
end;
create trigger jobs_marked_anew after update of spec on jobs when old.spec <> new.spec begin
    delete from job_marks where job = new.id and mark ->> '$[0]' <> 'error';
    insert into job_marks (account, mark, job)
        select new.account, json_array('metadata', pair.key, pair.value), new.id
        from json_each(iif(json_valid(new.spec), new.spec, '{}'), '$.metadata') as pair where true
        on conflict do nothing;
    insert into job_marks (account, mark, job)
        select new.account, json_array('recipe', output.value ->> '$.recipe'), new.id
        from json_each(iif(json_valid(new.spec), new.spec, '{}'), '$.outputs') as output where true
        on conflict do nothing;
end;
create trigger jobs_failed after update of error on jobs when old.error is not new.error begin
    delete from job_marks where job = new.id and mark ->> '$[0]' = 'error'
        and not exists (select 1 from outputs where outputs.job = new.id
            and json_array('error', iif(json_valid(outputs.error), outputs.error ->> '$.code', null)) = job_marks.mark);
    insert into job_marks (account, mark, job)
        select new.account, json_array('error', iif(json_valid(new.error), new.error ->> '$.code', null)), new.id where new.error is not null
        on conflict do nothing;
end;
create trigger jobs_unmarked after delete on jobs begin
    delete from job_marks where job = old.id;
end;
create trigger outputs_failed_at_once after insert on outputs when new.error is not null begin
    insert into job_marks (account, mark, job)
        select account, json_array('error', iif(json_valid(new.error), new.error ->> '$.code', null)), id from jobs where id = new.job
        on conflict do nothing;
end;
create trigger outputs_failed after update of error on outputs when old.error is not new.error begin
    delete from job_marks where job = new.job and mark = json_array('error', iif(json_valid(old.error), old.error ->> '$.code', null))
        and not exists (select 1 from outputs where outputs.job = new.job
            and json_array('error', iif(json_valid(outputs.error), outputs.error ->> '$.code', null)) = job_marks.mark)
        and not exists (select 1 from jobs where jobs.id = new.job
            and json_array('error', iif(json_valid(jobs.error), jobs.error ->> '$.code', null)) = job_marks.mark);
    insert into job_marks (account, mark, job)
        select account, json_array('error', iif(json_valid(new.error), new.error ->> '$.code', null)), id from jobs
        where id = new.job and new.error is not null
        on conflict do nothing;
end;

-- Most deliveries are being sent and then delivered, at once: these cost them one entry each.
create index deliveries_delivered on deliveries (account, id) where state = 'delivered';
create index deliveries_of_type on deliveries (account, event_type, id);
create index deliveries_scheduled on deliveries (account, id) where state = 'scheduled' and due_at is not null;
create index deliveries_held_of on deliveries (account, id) where state = 'held';
create index deliveries_not_delivered on deliveries (endpoint, state, sequence)
    where state in ('scheduled', 'held', 'exhausted', 'canceled');
