-- How TLS with an endpoint differs from TLS with others: its private roots and its client certificate with the key. Sealed.
alter table endpoints add column tls blob;

drop trigger endpoints_changed;
create trigger endpoints_changed
after update of url, events, dialect, description, headers, tls, retry, rate, timeout_ms, state on endpoints begin
    update keeper set endpoints_version = endpoints_version + 1;
end;
