-- Endpoints that are there only while a program reads them (`reelhook listen`), and when one last did.

create table temporary_endpoints (
    endpoint blob primary key references endpoints (id) on delete cascade,
    read_at integer not null
) strict, without rowid;
