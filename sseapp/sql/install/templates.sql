-- The texts of the functions of a watch. The placeholders of format() stand for the parts of function_parts(), and for what is made of them below.
-- OPERATOR() binds all operators alike, hence the parentheses.

-- A look at a lease, as an expression: whether it runs.
CREATE OR REPLACE FUNCTION sseapp.lease_text(lease text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('(pg_catalog.pg_sequence_last_value(''sseapp.%s''::pg_catalog.regclass) OPERATOR(pg_catalog.>) '
                  '(pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000))', lease)
$body$;

-- Whether a writer has to ring: see is_quiet(), of which this is the text.
CREATE OR REPLACE FUNCTION sseapp.ringing_text(condition text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format($text$    IF %s AND %s IS NOT TRUE
        AND %s THEN
        PERFORM pg_catalog.pg_notify('sseapp', '');
    END IF;$text$, condition, sseapp.lease_text('pace'), sseapp.lease_text('presence'))
$body$;

-- JSON's text of a row, and what it comes from: "row" is what the row goes by, "relation" a transition table, or null. Of rows that are too large
-- there is nothing.
CREATE OR REPLACE FUNCTION sseapp.row_query(parts jsonb, "row" text, relation text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := parts ->> 'watch';
    size text := sseapp.row_size(watch, "row");
    source text := CASE WHEN relation IS NULL THEN '' ELSE ' FROM ' || relation || ' ' || "row" END
        || coalesce(' WHERE (' || size || ') OPERATOR(pg_catalog.<) 80000000 OR sseapp.log_large(' || watch || ')', '');
BEGIN
    IF (parts ->> 'is_whole')::boolean THEN
        RETURN 'pg_catalog.row_to_json(' || "row" || CASE WHEN relation IS NULL THEN '' ELSE '.*' END || ')::pg_catalog.text AS row' || source;
    END IF;
    RETURN 'pg_catalog.row_to_json(x.*)::pg_catalog.text AS row FROM (SELECT ' || sseapp.column_list(watch, "row") || source || ') x';
END
$body$;

-- The function of a plain table for one event.
--
-- Many rows are logged in packs of up to 32 of them. With rows of up to some 400 bytes a pack stays below 2 kB, beyond which PostgreSQL compresses.
-- What is for many rows is planned each time: a plan that was made for a million rows would not do for a hundred.
CREATE OR REPLACE FUNCTION sseapp.rows_function(parts jsonb, event text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := parts ->> 'watch';
    settings text[] := ARRAY(SELECT jsonb_array_elements_text(parts -> 'settings'));
BEGIN
    RETURN format($text$
#variable_conflict use_variable
DECLARE
    saved pg_catalog.text[];
    logged pg_catalog.int8 := 0;
    versions pg_catalog.refcursor;  -- no name of its own, which a cursor of the writer's may have
    before pg_catalog.text;
    after pg_catalog.text;
    befores pg_catalog.text;
    afters pg_catalog.text;
    packed pg_catalog.int4 := 0;
BEGIN
    IF (%1$s AND %2$s AND pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.=) 1
        AND (pg_catalog.current_setting('sseapp.depths', true) OPERATOR(pg_catalog.<>) '') IS NOT TRUE
        AND %11$s%3$s) IS NOT TRUE THEN
        -- nobody has listened for longer than the log is kept: see attend()
        IF (%11$s AND %1$s AND %4$s) IS NOT TRUE THEN
            RETURN NULL;
        END IF;
        PERFORM sseapp.note_depth(TG_RELID, pg_catalog.pg_trigger_depth());
        IF NOT %2$s THEN
            saved := sseapp.pin((SELECT pg_catalog.array_agg(s.name) FROM sseapp.pinned_settings() s));
            BEGIN
                FOR before, after IN EXECUTE sseapp.rows_anew(%5$s, %6$L) LOOP
                    INSERT INTO sseapp.change (watch, kind, old, new) VALUES (%5$s, %7$L, before, after);
                    logged := 1;
                END LOOP;
            EXCEPTION WHEN OTHERS THEN
                PERFORM sseapp.log_loss(%5$s, SQLSTATE, SQLERRM);
            END;
            PERFORM sseapp.unpin(saved);
            IF logged OPERATOR(pg_catalog.>) 0 AND sseapp.is_quiet() THEN
                PERFORM pg_catalog.pg_notify('sseapp', '');
            END IF;
            RETURN NULL;
        END IF;
        saved := sseapp.pin(%8$L);
    END IF;
%9$s
%10$s
    IF saved IS NOT NULL THEN
        PERFORM sseapp.unpin(saved);
    END IF;
    RETURN NULL;
END
$text$, parts ->> 'is_ours', parts ->> 'is_unchanged', E'\n        AND ' || (parts ->> 'is_pinned'), parts ->> 'is_bound', watch, event,
        left(lower(event), 1), settings,
        CASE event WHEN 'UPDATE' THEN sseapp.updates_text(parts) ELSE sseapp.packs_text(parts, event) END,
        sseapp.ringing_text('logged OPERATOR(pg_catalog.>) 0'), sseapp.lease_text('logging'));
END
$body$;

-- How rows are logged that were all inserted, or all deleted. The first ones one by one: to look whether there are many would take a tenth of the time.
CREATE OR REPLACE FUNCTION sseapp.packs_text(parts jsonb, event text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := parts ->> 'watch';
    kind text := left(lower(event), 1);
    side text := CASE event WHEN 'INSERT' THEN 'new' ELSE 'old' END;
    query text := sseapp.row_query(parts, 'r', 'touched');
BEGIN
    RETURN format($text$        INSERT INTO sseapp.change (watch, kind, %3$s)
        SELECT %1$s, %2$L::pg_catalog."char", %4$s LIMIT 32;
        GET DIAGNOSTICS logged = ROW_COUNT;
        IF logged OPERATOR(pg_catalog.=) 32 THEN
            saved := COALESCE(saved, '{}'::pg_catalog.text[]) OPERATOR(pg_catalog.||) sseapp.pin('{jit}');
            EXECUTE %5$L;
        END IF;$text$, watch, kind, side, query,
        -- a row belongs to the pack that its end lies in: "upto" counts bytes, 47 for a row at the least, so that 1,500 are 32 rows at the most
        format($query$
            INSERT INTO sseapp.change (watch, kind, changes, %3$s)
            SELECT %1$s, %2$L::pg_catalog."char", p.changes, p.rows
            FROM (SELECT pg_catalog.count(*) AS changes, pg_catalog.string_agg(t.row, E'\x1e' ORDER BY t.upto) AS rows
                  FROM (SELECT t.row, pg_catalog.sum(GREATEST(pg_catalog.octet_length(t.row), 47)) OVER (ROWS UNBOUNDED PRECEDING) AS upto
                        FROM (SELECT %4$s OFFSET 32) t) t
                  GROUP BY t.upto OPERATOR(pg_catalog./) 1500 ORDER BY t.upto OPERATOR(pg_catalog./) 1500) p$query$, watch, kind, side, query));
END
$body$;

-- How updated rows are logged. Both transition tables are filled side by side, so that a row's two versions have the same place.
CREATE OR REPLACE FUNCTION sseapp.updates_text(parts jsonb) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := parts ->> 'watch';
    size text := sseapp.row_size(watch, 'r');
    -- a row that is too large keeps its place
    version text := format('SELECT CASE WHEN %s THEN %s END FROM %%s r%s',
        coalesce('(' || replace(size, '%', '%%') || ') OPERATOR(pg_catalog.<) 80000000 OR sseapp.log_large(' || watch || ')', 'true'),
        CASE WHEN (parts ->> 'is_whole')::boolean THEN 'pg_catalog.row_to_json(r.*)::pg_catalog.text'
             ELSE 'pg_catalog.row_to_json(x.*)::pg_catalog.text' END,
        CASE WHEN (parts ->> 'is_whole')::boolean THEN ''
             ELSE ', LATERAL (SELECT ' || replace(sseapp.column_list(watch, 'r'), '%', '%%') || ') x' END);
BEGIN
    RETURN format($text$        -- of one row: none is logged where there are many
        INSERT INTO sseapp.change (watch, kind, old, new)
        SELECT %1$s, 'u'::pg_catalog."char", t.before, t.after
        FROM (SELECT (SELECT %2$s) AS before,
                     (SELECT %3$s) AS after OFFSET 0) t
        WHERE NOT EXISTS (SELECT FROM new_rows OFFSET 1) AND t.before OPERATOR(pg_catalog.<>) t.after;
        GET DIAGNOSTICS logged = ROW_COUNT;
        IF logged OPERATOR(pg_catalog.=) 0 AND EXISTS (SELECT FROM new_rows OFFSET 1) THEN
            saved := COALESCE(saved, '{}'::pg_catalog.text[]) OPERATOR(pg_catalog.||) sseapp.pin('{jit}');
            OPEN versions NO SCROLL FOR EXECUTE %4$L;
            FOR after IN EXECUTE %5$L LOOP
                FETCH versions INTO before;
                CONTINUE WHEN (before OPERATOR(pg_catalog.<>) after) IS NOT TRUE;
                logged := 1;
                IF packed OPERATOR(pg_catalog.>) 0 AND packed OPERATOR(pg_catalog.<) 32 AND ((((pg_catalog.octet_length(befores) OPERATOR(pg_catalog.+) pg_catalog.octet_length(afters))
                        OPERATOR(pg_catalog.+) pg_catalog.octet_length(before)) OPERATOR(pg_catalog.+) pg_catalog.octet_length(after))
                        OPERATOR(pg_catalog.<) 1900) THEN
                    befores := befores OPERATOR(pg_catalog.||) E'\x1e' OPERATOR(pg_catalog.||) before;
                    afters := afters OPERATOR(pg_catalog.||) E'\x1e' OPERATOR(pg_catalog.||) after;
                    packed := packed OPERATOR(pg_catalog.+) 1;
                    CONTINUE;
                ELSIF packed OPERATOR(pg_catalog.>) 0 THEN
                    INSERT INTO sseapp.change (watch, kind, changes, old, new) VALUES (%1$s, 'u', packed, befores, afters);
                END IF;
                befores := before;
                afters := after;
                packed := 1;
            END LOOP;
            CLOSE versions;
            IF packed OPERATOR(pg_catalog.>) 0 THEN
                INSERT INTO sseapp.change (watch, kind, changes, old, new) VALUES (%1$s, 'u', packed, befores, afters);
            END IF;
        END IF;$text$, watch, sseapp.row_query(parts, 'r', 'old_rows'), sseapp.row_query(parts, 'r', 'new_rows'),
        format(version, 'old_rows'), format(version, 'new_rows'));
END
$body$;

-- The function of a table that is logged by the row.
CREATE OR REPLACE FUNCTION sseapp.row_function(parts jsonb) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := parts ->> 'watch';
    settings text[] := ARRAY(SELECT jsonb_array_elements_text(parts -> 'settings'));
    is_whole boolean := parts ->> 'is_whole';
    old text := sseapp.row_query(parts, 'OLD', NULL);
    new text := sseapp.row_query(parts, 'NEW', NULL);
    size_old text := sseapp.row_size(watch, 'OLD');
    size_new text := sseapp.row_size(watch, 'NEW');
BEGIN
    RETURN format($text$
#variable_conflict use_variable
DECLARE
    saved pg_catalog.text[];
    before pg_catalog.text;
    after pg_catalog.text;
BEGIN
    IF (%1$s AND %2$s AND pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.=) 1
        AND %11$s%3$s) IS NOT TRUE THEN
        -- nobody has listened for longer than the log is kept: see attend()
        IF (%11$s AND %1$s AND %4$s) IS NOT TRUE THEN
            RETURN NULL;
        ELSIF pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1 THEN
            PERFORM sseapp.note_nested();
        END IF;
        IF NOT %2$s THEN
            BEGIN
                PERFORM sseapp.log_row_anew(%5$s, TG_RELID, TG_OP, OLD, NEW);
            EXCEPTION WHEN OTHERS THEN
                PERFORM sseapp.log_loss(%5$s, SQLSTATE, SQLERRM);
            END;
            RETURN NULL;
        END IF;
        saved := sseapp.pin(%6$L);
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        IF NEW.xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid THEN
            INSERT INTO sseapp.change (watch, kind, new) SELECT %5$s, 'i'::pg_catalog."char", %8$s;
        ELSE
            -- a trigger has changed the row already
            after := (SELECT %8$s);
            IF after IS NOT NULL AND NOT sseapp.is_merged(%5$s, NULL, after) THEN
                INSERT INTO sseapp.change (watch, kind, new) VALUES (%5$s, 'i', after);
            END IF;
        END IF;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO sseapp.change (watch, kind, old) SELECT %5$s, 'd'::pg_catalog."char", %7$s;
    ELSIF %9$s THEN
        IF NEW.xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid THEN
            INSERT INTO sseapp.change (watch, kind, old, new)
            SELECT %5$s, 'u'::pg_catalog."char", t.before, t.after
            FROM (SELECT (SELECT %7$s) AS before, (SELECT %8$s) AS after OFFSET 0) t
            WHERE t.before OPERATOR(pg_catalog.<>) t.after;
        ELSE
            before := (SELECT %7$s);
            after := (SELECT %8$s);
            IF before OPERATOR(pg_catalog.<>) after AND NOT sseapp.is_merged(%5$s, before, after) THEN
                INSERT INTO sseapp.change (watch, kind, old, new) VALUES (%5$s, 'u', before, after);
            END IF;
        END IF;
    END IF;
%10$s
    IF saved IS NOT NULL THEN
        PERFORM sseapp.unpin(saved);
    END IF;
    RETURN NULL;
END
$text$, parts ->> 'is_ours', parts ->> 'is_unchanged', E'\n        AND ' || (parts ->> 'is_pinned'), parts ->> 'is_bound', watch, settings, old, new,
        -- the images first, which costs less than their text; but two large ones could not be compared
        CASE WHEN NOT is_whole THEN 'true'
             WHEN size_old IS NULL THEN 'OLD OPERATOR(pg_catalog.*<>) NEW'
             ELSE format('(CASE WHEN ((%s) OPERATOR(pg_catalog.+) (%s)) OPERATOR(pg_catalog.<) 80000000 THEN OLD OPERATOR(pg_catalog.*<>) NEW ELSE true END)',
                         size_old, size_new) END,
        sseapp.ringing_text('FOUND'), sseapp.lease_text('logging'));
END
$body$;
