-- How long an account wants its deliveries and events kept, where that is shorter than the server keeps them.
alter table accounts add column keep_ms integer;
