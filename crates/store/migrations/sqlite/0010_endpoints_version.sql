-- A number that grows whenever an endpoint, or who is an account's default, changes in what fan-out reads of it: whoever
-- remembers endpoints under this number need not read them again.

alter table keeper add column endpoints_version integer not null default 0;

create trigger endpoints_added after insert on endpoints begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
create trigger endpoints_changed
after update of url, events, dialect, description, headers, retry, rate, timeout_ms, state on endpoints begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
create trigger endpoints_deleted after delete on endpoints begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
create trigger default_webhooks_added after insert on default_webhooks begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
create trigger default_webhooks_changed after update on default_webhooks begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
create trigger default_webhooks_deleted after delete on default_webhooks begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
