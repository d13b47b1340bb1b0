-- Reads of the log and of tables. Functions, so that their plans are kept: planning took more than a third of a read's time.

-- A text whose bytes are not what the database's encoding says, as \x1a, the encoding's name, a colon and its bytes in hexadecimal: the server could not
-- convert it for a client, and one such row would stop all reads. A text that can be converted is returned as it is.
CREATE OR REPLACE FUNCTION sseapp.checked(value text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF getdatabaseencoding() = 'SQL_ASCII' THEN
        -- such a database takes any bytes; UTF-8 is what its clients mostly write
        PERFORM convert_from(convert_to(value, 'SQL_ASCII'), 'UTF8');
    ELSE
        PERFORM convert_to(value, 'UTF8');
    END IF;
    RETURN value;
EXCEPTION WHEN data_exception THEN
    RETURN E'\x1a' || getdatabaseencoding() || ':' || encode(convert_to(value, getdatabaseencoding()), 'hex');
END
$body$;

-- The same, at no cost in a database of UTF-8. An expression, so that it becomes part of the caller's.
CREATE OR REPLACE FUNCTION sseapp.sendable(value text) RETURNS text
LANGUAGE sql STABLE
AS $body$
    SELECT CASE WHEN pg_catalog.getdatabaseencoding() = 'UTF8' THEN value ELSE sseapp.checked(value) END
$body$;

-- The UTF-8 of a text, to compare it by code point in a database of another encoding. What is no character there becomes U+FFFD, as in
-- the rows that subscribers get.
CREATE OR REPLACE FUNCTION sseapp.utf8(value text) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    one text;
    bytes bytea := '';
BEGIN
    RETURN convert_to(value, 'UTF8');
EXCEPTION WHEN data_exception THEN
    FOREACH one IN ARRAY string_to_array(value, NULL) LOOP
        BEGIN
            bytes := bytes || convert_to(one, 'UTF8');
        EXCEPTION WHEN data_exception THEN
            bytes := bytes || '\xefbfbd'::bytea;
        END;
    END LOOP;
    RETURN bytes;
END
$body$;

-- The log's rows that the caller sees and the snapshot (beyond: its xmax, xip) does not, in no order. "ended" are those of xip that have
-- ended since: a large one's rows that goes on are not walked over by each read.
CREATE OR REPLACE FUNCTION sseapp.unseen(beyond xid8, ended xid8[]) RETURNS SETOF sseapp.change
LANGUAGE sql STABLE
AS $body$
    SELECT c.* FROM sseapp.change c WHERE c.xid >= beyond
    UNION ALL SELECT c.* FROM sseapp.change c WHERE c.xid = ANY (ended)
$body$;

-- The least id of these rows, at the price of one look for each transaction, however large.
CREATE OR REPLACE FUNCTION sseapp.least_unseen_id(beyond xid8, ended xid8[]) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
BEGIN
    RETURN (
        WITH RECURSIVE first AS (
            (SELECT c.xid, c.id FROM sseapp.change c WHERE c.xid >= beyond ORDER BY c.xid, c.id LIMIT 1)
            UNION ALL
            SELECT n.xid, n.id FROM first f, LATERAL (
                SELECT c.xid, c.id FROM sseapp.change c WHERE c.xid > f.xid ORDER BY c.xid, c.id LIMIT 1) n)
        SELECT LEAST(min(f.id), (SELECT min(n.id) FROM unnest(ended) e(xid), LATERAL (
            SELECT c.id FROM sseapp.change c WHERE c.xid = e.xid ORDER BY c.id LIMIT 1) n))
        FROM first f);
END
$body$;

-- What the caller's statement sees and the snapshot (beyond: its xmax, xip) does not. The first row tells where the log stands, with the lease
-- and the clock that the pace goes by; rounded down, the clock tells an end as writers do. The log's rows follow in order of id where their
-- changes are no more than "piece" and "bytes"; else there are none, and "above" is an id that all of them are above. Bytes are those that
-- the texts take when they are read, not as they are stored: octet_length() finds that in a value's head, without decompressing it.
CREATE OR REPLACE FUNCTION sseapp.read(beyond xid8, xip xid8[], piece integer, bytes bigint)
RETURNS TABLE (horizon text, horizon_id bigint, snapshot text, top text, lease bigint, clock bigint, above bigint,
               id bigint, xid text, watch integer, kind text, count integer, old text, new text, at text, reason text)
-- STABLE: all that it does is of the snapshot of the caller's statement
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- by a plan for any parameters, walking the whole log would look cheap
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    ended xid8[] := CASE WHEN xip = '{}' THEN xip
                         ELSE ARRAY(SELECT unnest(xip) EXCEPT SELECT pg_snapshot_xip(pg_current_snapshot())) END;
    is_all boolean;
BEGIN
    SELECT s.horizon::text, s.horizon_id, pg_current_snapshot()::text, sseapp.greatest_xid()::text, p.last_value,
           floor(extract(epoch FROM clock_timestamp()) * 1000)
    INTO horizon, horizon_id, snapshot, top, lease, clock
    FROM sseapp.state s, sseapp.pace p;
    SELECT coalesce(sum(u.changes) <= piece AND sum(u.size) <= bytes, true) INTO is_all
    FROM (SELECT c.changes, coalesce(octet_length(c.old), 0) + coalesce(octet_length(c.new), 0) AS size
          FROM sseapp.unseen(beyond, ended) c LIMIT piece + 1) u;
    IF NOT is_all THEN
        above := sseapp.least_unseen_id(beyond, ended) - 1;
    END IF;
    RETURN NEXT;
    IF is_all THEN
        RETURN QUERY
        SELECT NULL, NULL::bigint, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, c.id, c.xid::text, c.watch, c.kind::text,
               c.changes::integer, sseapp.sendable(c.old), sseapp.sendable(c.new), to_json(c.at) #>> '{}', sseapp.sendable(c.reason)
        FROM sseapp.unseen(beyond, ended) c ORDER BY c.id;
    END IF;
END
$body$;

-- Rows of the log above id "above" that "upto" sees and "after" does not, in order of id, until "piece" changes or "bytes" are there; then a row of
-- nulls where there are more. Of the watches "without" only resets. A loop, so that no more is read than that.
CREATE OR REPLACE FUNCTION sseapp.read_on(above bigint, after pg_snapshot, upto pg_snapshot, without integer[], piece integer, bytes bigint)
RETURNS SETOF sseapp.change
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- by functions and not by comparing xids, so that the primary key is the one index there is to walk: it finds the next where the last ones ended
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    one sseapp.change;
BEGIN
    FOR one IN
        SELECT c.* FROM sseapp.change c
        WHERE c.id > above AND (c.watch <> ALL (without) OR c.kind = 'r')
          AND NOT pg_visible_in_snapshot(c.xid, after) AND pg_visible_in_snapshot(c.xid, upto)
        ORDER BY c.id
    LOOP
        IF piece <= 0 OR bytes <= 0 THEN
            RETURN NEXT NULL;
            RETURN;
        END IF;
        RETURN NEXT one;
        piece := piece - one.changes;
        bytes := bytes - coalesce(octet_length(one.old), 0) - coalesce(octet_length(one.new), 0);
    END LOOP;
END
$body$;

-- What a subscriber of the watch "watched" has not seen, about "piece" changes or "bytes" of it. The first row tells whether its cursor is valid: the
-- epoch, the horizon of pruning, and whether the last transaction the cursor saw is still there. The log's rows follow: first those that "upto" sees and
-- "after" does not, from id "rest" on (a pack may begin up to 31 ids before that), then those that "upto" does not see, each in order of id. At the end,
-- a row of nulls tells that there are more. "rest" is null where all that "upto" sees is known.
CREATE OR REPLACE FUNCTION sseapp.resume(
    watched integer, last xid8, after pg_snapshot, upto pg_snapshot, rest bigint, piece integer, bytes bigint)
RETURNS TABLE (epoch text, snapshot text, top text, horizon text, horizon_id bigint, there boolean,
               id bigint, xid text, watch integer, kind text, count integer, old text, new text, at text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- as in read() and read_on()
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    beyond xid8 := pg_snapshot_xmax(upto);
    ended xid8[] := ARRAY(SELECT x.xid FROM pg_snapshot_xip(upto) x(xid) EXCEPT SELECT pg_snapshot_xip(pg_current_snapshot()));
    one sseapp.change;
BEGIN
    SELECT sseapp.epoch(), pg_current_snapshot()::text, sseapp.greatest_xid()::text, s.horizon::text, s.horizon_id,
           EXISTS (SELECT FROM sseapp.change c WHERE c.xid = last)
    INTO epoch, snapshot, top, horizon, horizon_id, there
    FROM sseapp.state s;
    RETURN NEXT;
    epoch := NULL;
    snapshot := NULL;
    top := NULL;
    horizon := NULL;
    horizon_id := NULL;
    there := NULL;
    FOR one IN
        -- Append reads the second part only when the first is at its end
        (SELECT c.* FROM sseapp.change c
         WHERE c.id > rest - 32 AND c.id + c.changes > rest AND c.watch = watched
           AND NOT pg_visible_in_snapshot(c.xid, after) AND pg_visible_in_snapshot(c.xid, upto)
         ORDER BY c.id)
        UNION ALL
        -- by their ids, which sort in less room than the rows do
        (SELECT c.* FROM sseapp.change c
         WHERE c.id = ANY (ARRAY(SELECT u.id FROM sseapp.unseen(beyond, ended) u WHERE u.watch = watched ORDER BY u.id LIMIT piece + 1))
         ORDER BY c.id)
    LOOP
        IF piece <= 0 OR bytes <= 0 THEN
            id := NULL;
            xid := NULL;
            watch := NULL;
            kind := NULL;
            count := NULL;
            old := NULL;
            new := NULL;
            at := NULL;
            reason := NULL;
            RETURN NEXT;
            RETURN;
        END IF;
        id := one.id;
        xid := one.xid;
        watch := one.watch;
        kind := one.kind;
        count := one.changes;
        old := sseapp.sendable(one.old);
        new := sseapp.sendable(one.new);
        at := to_json(one.at) #>> '{}';
        reason := sseapp.sendable(one.reason);
        RETURN NEXT;
        -- of a pack that was begun, what is known does not count
        piece := piece - one.changes + CASE WHEN pg_visible_in_snapshot(one.xid, upto) THEN GREATEST(rest - one.id, 0) ELSE 0 END;
        bytes := bytes - coalesce(octet_length(one.old), 0) - coalesce(octet_length(one.new), 0);
    END LOOP;
END
$body$;

-- The next rows of the cursor "sseapp_rows", until "rows" of them or "bytes" are there; at its end, none.
CREATE OR REPLACE FUNCTION sseapp.fetch_rows(rows integer, bytes bigint) RETURNS SETOF text
LANGUAGE plpgsql
AS $body$
DECLARE
    opened refcursor := 'sseapp_rows';
    one text;
BEGIN
    WHILE rows > 0 AND bytes > 0 LOOP
        FETCH opened INTO one;
        EXIT WHEN NOT FOUND;
        RETURN NEXT one;
        rows := rows - 1;
        bytes := bytes - octet_length(one);
    END LOOP;
END
$body$;
