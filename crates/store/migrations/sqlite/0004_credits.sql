-- Credits: the balance of accounts that have one, and what each job took.

-- An account without a row has no limit.
create table credits (
    account blob primary key references accounts (id),
    -- May fall below zero: what was begun is paid for.
    balance integer not null
) strict, without rowid;

-- One a job, however often it is tried: what makes a second charge change nothing.
create table credit_charges (
    job blob primary key,
    account blob not null references accounts (id),
    dialect text not null,
    credits integer not null,
    duration_ms integer not null,
    at integer not null
) strict, without rowid;
create index credit_charges_of_account on credit_charges (account, at);
