-- The pace: until when writers need not ring, because listeners poll. See sseapp/log/pace.py.

-- A time of the server's clock, in milliseconds since 1970: a lease, which runs out by itself. In a sequence, which lies
-- outside of transactions: a REPEATABLE READ writer sees the latest value too. At first it has long run out.
CREATE SEQUENCE IF NOT EXISTS sseapp.pace;

-- Until when a listener is there for sure, so that it pays to ring; and until when writers log, though nobody listens. Times as above, see attend().
CREATE SEQUENCE IF NOT EXISTS sseapp.presence;
CREATE SEQUENCE IF NOT EXISTS sseapp.logging;

-- There while changes may be missing from the log: they were made when nobody had listened for longer than the log is kept. "fence" is 0
-- until writers log again; then a transaction id that is above those of all who may have looked before.
CREATE TABLE IF NOT EXISTS sseapp.gap (fence xid8 NOT NULL, one boolean PRIMARY KEY DEFAULT true CHECK (one));

-- Milliseconds of the server's clock.
CREATE OR REPLACE FUNCTION sseapp.clock() RETURNS bigint
LANGUAGE sql VOLATILE
AS $body$
    SELECT pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8
$body$;

-- Whether a writer has to ring: listeners do not poll, and one is there. To be asked after its row is logged, not before: see sseapp/log/pace.py. One
-- expression, and no query, so that it becomes part of the caller's: that takes a tenth of the time.
CREATE OR REPLACE FUNCTION sseapp.is_quiet() RETURNS boolean
LANGUAGE sql VOLATILE
AS $body$
    -- null before the first lease
    SELECT (pg_catalog.pg_sequence_last_value('sseapp.pace'::pg_catalog.regclass) OPERATOR(pg_catalog.>) sseapp.clock()) IS NOT TRUE
       AND pg_catalog.pg_sequence_last_value('sseapp.presence'::pg_catalog.regclass) OPERATOR(pg_catalog.>) sseapp.clock()
$body$;

-- Has writers log for so many milliseconds from now, at least.
CREATE OR REPLACE FUNCTION sseapp.keep_logging(milliseconds bigint) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT setval('sseapp.logging', sseapp.clock() + milliseconds)
    WHERE coalesce(pg_sequence_last_value('sseapp.logging'::regclass), 0) < sseapp.clock() + milliseconds / 2
$body$;

-- What a listener does when it begins, before it reads, and on its tick: it promises to be there for "presence" milliseconds, and has writers log for
-- "retention" more. Returns the clock, to tell whether an earlier promise had run out; null where it is to be called again, in another transaction.
--
-- Where writers may have stopped to log, this is another log from then on (its birth mark changes), and old cursors count for nothing. That is noted before
-- they log again: a crash between the two must not hide it. Those who looked before and have not committed yet are waited for by a fence, as the
-- pace does: when all up to it have ended, what subscribers hold by then is reset.
CREATE OR REPLACE FUNCTION sseapp.attend(presence bigint, retention bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    logging bigint := coalesce(pg_sequence_last_value('sseapp.logging'::regclass), 0);
    fence xid8 := (SELECT g.fence FROM sseapp.gap g);
BEGIN
    IF logging < sseapp.clock() AND fence IS DISTINCT FROM '0' THEN
        INSERT INTO sseapp.gap (fence) VALUES ('0') ON CONFLICT (one) DO UPDATE SET fence = '0';
        RETURN NULL;
    END IF;
    PERFORM sseapp.keep_logging(presence + retention);
    PERFORM setval('sseapp.presence', sseapp.clock() + presence)
    WHERE coalesce(pg_sequence_last_value('sseapp.presence'::regclass), 0) < sseapp.clock() + presence / 2;
    IF fence = '0' THEN
        UPDATE sseapp.gap g SET fence = pg_current_xact_id() WHERE g.fence = '0';
        IF FOUND THEN
            UPDATE sseapp.state SET born = gen_random_uuid();
            -- nobody else is in flight who may have looked before
            DELETE FROM sseapp.gap WHERE pg_snapshot_xmin(pg_current_snapshot()) >= pg_current_xact_id();
        END IF;
    ELSIF logging < sseapp.clock() THEN
        -- it ran out between the two looks
        INSERT INTO sseapp.gap (fence) VALUES ('0') ON CONFLICT (one) DO UPDATE SET fence = '0';
        RETURN NULL;
    ELSIF fence IS NOT NULL THEN
        DELETE FROM sseapp.gap g WHERE g.fence < pg_snapshot_xmin(pg_current_snapshot());
        IF FOUND THEN
            PERFORM sseapp.tell_reset(w.id, 'changes were not logged while nobody listened') FROM sseapp.watched_table w;
        END IF;
    END IF;
    RETURN sseapp.clock();
END
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
