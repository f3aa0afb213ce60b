-- Everything that Reelhook keeps. Ids are 16 bytes, times are milliseconds since 1970 UTC, lists and objects are JSON.
-- A column that is null unless a row waits (`due_at`, `lease_until`) makes the small index that finds the waiting rows:
-- rows that came to their end are in none of them, so looking for work costs the same on the first day and after a year.

create table keeper (
    one integer primary key check (one = 1),
    -- A known text under the master key, to tell a wrong key before it seals anything.
    seal blob not null,
    -- All events up to this sequence number are fanned out.
    fanned_out_to integer not null default 0
) strict;

create table accounts (
    id blob primary key,
    name text not null,
    created_at integer not null
) strict, without rowid;

create table api_keys (
    id blob primary key,
    account blob not null references accounts (id),
    name text not null,
    hint text not null,
    hash blob not null unique,
    created_at integer not null,
    revoked_at integer
) strict, without rowid;
create index api_keys_of_account on api_keys (account, id);

create table jobs (
    id blob primary key,
    account blob not null references accounts (id),
    state text not null,
    error text,
    confirm_until integer,
    stage text,
    progress integer not null default 0,
    spec text not null,
    input text,
    upload blob,
    -- 0 economy, 1 standard, 2 premium.
    priority integer not null,
    created_at integer not null,
    queued_at integer not null,
    started_at integer,
    finished_at integer,
    -- The fencing number; grows with every claim and whenever a claim is taken away.
    token integer not null default 0,
    claims integer not null default 0,
    -- Set while a worker has it.
    lease_until integer
) strict;
create index jobs_of_account on jobs (account, id);
create index jobs_queued on jobs (priority, queued_at, id) where state = 'queued';
create index jobs_leased on jobs (lease_until) where lease_until is not null;
create index jobs_of_upload on jobs (upload) where upload is not null;

create table outputs (
    job blob not null references jobs (id) on delete cascade,
    position integer not null,
    id blob not null,
    name text not null,
    state text not null,
    progress integer not null,
    file text,
    plan text not null,
    receipt text not null,
    error text,
    primary key (job, position)
) strict;

create table idempotency (
    account blob not null references accounts (id),
    key text not null,
    fingerprint blob not null,
    job blob not null references jobs (id) on delete cascade,
    created_at integer not null,
    primary key (account, key)
) strict, without rowid;
create index idempotency_age on idempotency (created_at);
create index idempotency_of_job on idempotency (job);

create table events (
    -- Never used twice, so that a reader who remembers a number misses nothing.
    sequence integer primary key autoincrement,
    id blob not null unique,
    account blob not null,
    kind text not null,
    at integer not null,
    job blob,
    data text not null,
    only_endpoint blob
) strict;
create index events_of_job on events (job, sequence) where job is not null;

create table endpoints (
    id blob primary key,
    account blob not null references accounts (id),
    role text not null,
    url text not null,
    events text not null,
    dialect text not null,
    description text not null,
    -- Sealed: headers often carry credentials.
    headers blob,
    retry text,
    rate text,
    timeout_ms integer not null,
    state text not null,
    disabled_reason text,
    circuit text not null,
    failing_since integer,
    failing_attempts integer,
    -- The sequence number of the newest delivery.
    last_sequence integer not null default 0,
    created_at integer not null
) strict;
create index endpoints_of_account on endpoints (account, role, id);
create unique index endpoints_by_url on endpoints (account, role, url, dialect) where role in ('default', 'job');

create table default_webhooks (
    account blob primary key references accounts (id),
    endpoint blob not null references endpoints (id) on delete cascade,
    events text not null
) strict, without rowid;
create index default_webhooks_of_endpoint on default_webhooks (endpoint);

create table secrets (
    id blob primary key,
    -- One of the two: what it signs for.
    endpoint blob references endpoints (id) on delete cascade,
    account blob references accounts (id),
    scheme text not null,
    sealed blob not null,
    created_at integer not null,
    until integer,
    check ((endpoint is null) <> (account is null))
) strict;
create index secrets_of_endpoint on secrets (endpoint) where endpoint is not null;
create index secrets_of_account on secrets (account) where account is not null;

create table bodies (
    event blob not null,
    dialect text not null,
    body text not null,
    primary key (event, dialect)
) strict;

-- No foreign keys: deliveries outlive their endpoint, and this is the table that must be fastest.
create table deliveries (
    id blob primary key,
    account blob not null,
    event blob not null,
    event_type text not null,
    job blob,
    endpoint blob not null,
    dialect text not null,
    sequence integer not null,
    state text not null,
    -- Set while it is scheduled.
    due_at integer,
    -- Set while it is sending.
    lease_until integer,
    attempts integer not null default 0,
    schedule_offset integer not null default 0,
    waiting_reason text,
    -- The fencing number; grows with every claim and whenever a claim is taken away.
    token integer not null default 0,
    created_at integer not null,
    finished_at integer,
    unique (event, endpoint)
) strict, without rowid;
create unique index deliveries_of_endpoint on deliveries (endpoint, sequence);
create index deliveries_of_account on deliveries (account, id);
create index deliveries_due on deliveries (endpoint, due_at) where due_at is not null;
create index deliveries_leased on deliveries (lease_until) where lease_until is not null;
create index deliveries_held on deliveries (endpoint) where state = 'held';
create index deliveries_exhausted on deliveries (account, id) where state = 'exhausted';
create index deliveries_canceled on deliveries (account, id) where state = 'canceled';

create table attempts (
    delivery blob not null,
    id blob not null,
    number integer not null,
    at integer not null,
    outcome text not null,
    address text,
    timings_ms text not null,
    response_headers text not null,
    response_body text not null,
    primary key (delivery, id)
) strict, without rowid;

create table uploads (
    id blob primary key,
    account blob not null references accounts (id),
    name text not null,
    size_bytes integer not null,
    sha256 text not null,
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;
create index uploads_by_end on uploads (expires_at);
