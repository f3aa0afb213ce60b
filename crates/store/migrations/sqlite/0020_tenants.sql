-- What each account has waiting, running and uploaded, kept by triggers: so that whose turn it is, and whether an account
-- may have more, is known without counting rows, least of all those of others.

create table tallies (
    account blob primary key,
    -- Jobs that wait for anything: drafts and questions too.
    waiting integer not null default 0,
    queued integer not null default 0,
    -- Jobs that a worker has.
    running integer not null default 0,
    -- The number of the last claim of one of its jobs; claims are numbered over all accounts.
    claimed integer not null default 0,
    -- Each upload counts for 4 KiB at least, which is what an empty one takes.
    upload_bytes integer not null default 0
) strict, without rowid;
-- Whose turn it is: the account that has the fewest running, and of those the one whose last turn is longest ago.
create index tallies_next on tallies (running, claimed, account) where queued > 0;
alter table keeper add column claims integer not null default 0;

insert into tallies (account, waiting, queued, running)
    select account, sum(state in ('draft', 'queued', 'awaiting_confirmation')), sum(state = 'queued'),
        sum(lease_until is not null)
    from jobs group by account;
insert into tallies (account, upload_bytes)
    select account, sum(max(size_bytes, 4096)) from uploads where true group by account
    on conflict (account) do update set upload_bytes = excluded.upload_bytes;

create trigger jobs_added after insert on jobs begin
    insert into tallies (account, waiting, queued, running)
    values (new.account, new.state in ('draft', 'queued', 'awaiting_confirmation'), new.state = 'queued',
        new.lease_until is not null)
    on conflict (account) do update set waiting = waiting + excluded.waiting, queued = queued + excluded.queued,
        running = running + excluded.running;
end;
create trigger jobs_moved after update of state, lease_until on jobs
when old.state <> new.state or (old.lease_until is null) <> (new.lease_until is null) begin
    update tallies set
        waiting = waiting + (new.state in ('draft', 'queued', 'awaiting_confirmation'))
            - (old.state in ('draft', 'queued', 'awaiting_confirmation')),
        queued = queued + (new.state = 'queued') - (old.state = 'queued'),
        running = running + (new.lease_until is not null) - (old.lease_until is not null)
    where account = new.account;
end;
create trigger jobs_removed after delete on jobs begin
    update tallies set
        waiting = waiting - (old.state in ('draft', 'queued', 'awaiting_confirmation')),
        queued = queued - (old.state = 'queued'),
        running = running - (old.lease_until is not null)
    where account = old.account;
end;
create trigger uploads_added after insert on uploads begin
    insert into tallies (account, upload_bytes) values (new.account, max(new.size_bytes, 4096))
    on conflict (account) do update set upload_bytes = upload_bytes + excluded.upload_bytes;
end;
create trigger uploads_removed after delete on uploads begin
    update tallies set upload_bytes = upload_bytes - max(old.size_bytes, 4096) where account = old.account;
end;

-- The queue of each account, for its own turns.
drop index jobs_queued;
create index jobs_queued on jobs (account, priority, queued_at, id) where state = 'queued';
create index api_keys_that_work on api_keys (account) where revoked_at is null;
