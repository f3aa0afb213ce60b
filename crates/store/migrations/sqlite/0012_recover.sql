-- Finds what an endpoint can be offered again, from a time on. Only exhausted rows are in it, so nothing else pays for it.
create index deliveries_to_recover on deliveries (endpoint, created_at, sequence) where state = 'exhausted';
