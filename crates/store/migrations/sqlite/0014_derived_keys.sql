-- Keys for one purpose each, such as signing links. Sealed, so that they stay the same when the master key is rotated.
create table derived_keys (
    purpose text primary key,
    sealed blob not null
) strict, without rowid;
