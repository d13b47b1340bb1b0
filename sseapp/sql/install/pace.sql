-- The pace: until when writers need not ring, because listeners poll. See sseapp/pace.py.

-- A time of the server's clock, in milliseconds since 1970: a lease, which runs out by itself. In a sequence, which lies
-- outside of transactions: a REPEATABLE READ writer sees the latest value too. At first it has long run out.
CREATE SEQUENCE IF NOT EXISTS sseapp.pace;

-- Whether a writer has to ring. To be asked after its row is logged, not before: see sseapp/pace.py. One expression, and
-- no query, so that it becomes part of the caller's: that takes a tenth of the time.
CREATE OR REPLACE FUNCTION sseapp.is_quiet() RETURNS boolean
LANGUAGE sql VOLATILE
AS $body$
    -- null before the first lease
    SELECT (pg_catalog.pg_sequence_last_value('sseapp.pace'::regclass)
            > pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000) IS NOT TRUE
$body$;

-- Lets the lease run for so many milliseconds from now: 0 ends it, the greatest bigint makes it run for ever. Rings, so that
-- sleepers poll from then on.
CREATE OR REPLACE FUNCTION sseapp.quicken(milliseconds bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM setval('sseapp.pace', LEAST(milliseconds::numeric + floor(extract(epoch FROM clock_timestamp()) * 1000), 9223372036854775807)::bigint);
    PERFORM pg_notify('sseapp', '');
END
$body$;
