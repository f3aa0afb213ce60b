-- When an account last changed what it set for the jobs of a dialect: kept when the setting itself was cleared.

create table settings_changes (
    account blob not null references accounts (id),
    dialect text not null,
    changed_at integer not null,
    primary key (account, dialect)
) strict, without rowid;
