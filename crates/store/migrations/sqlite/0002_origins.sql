-- Buckets and servers that a caller lets us read or write.

create table origins (
    id blob primary key,
    account blob not null references accounts (id),
    name text not null,
    -- Provider, bucket, region, endpoint or base URL.
    place text not null,
    may_read integer not null,
    may_write integer not null,
    base_path text not null,
    path_template text not null,
    status text not null,
    validation text,
    -- Sealed; gone once the origin is archived.
    credentials blob,
    created_at integer not null,
    updated_at integer not null,
    check ((credentials is null) = (status = 'archived'))
) strict;
create index origins_of_account on origins (account, id) where status <> 'archived';
