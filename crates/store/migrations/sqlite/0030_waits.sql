-- When the wait of a scheduled delivery began, as far as it is not when the delivery was made: so that a wait is known for as
-- long as it is, whatever the clock says since.
alter table deliveries add column waits_since integer;
