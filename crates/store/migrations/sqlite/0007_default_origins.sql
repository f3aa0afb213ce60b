-- Where the outputs of jobs of a dialect are written that name no place.

create table default_origins (
    account blob not null references accounts (id),
    dialect text not null,
    origin blob not null references origins (id),
    primary key (account, dialect)
) strict, without rowid;
