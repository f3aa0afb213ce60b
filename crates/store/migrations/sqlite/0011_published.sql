-- What the idempotency keys of published events stand for: the ids of the events, 16 bytes each, in the order given.

create table published (
    account blob not null references accounts (id),
    key text not null,
    fingerprint blob not null,
    events blob not null,
    created_at integer not null,
    primary key (account, key)
) strict, without rowid;
create index published_age on published (created_at);
