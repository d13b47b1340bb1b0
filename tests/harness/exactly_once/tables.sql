-- The tables of the rig, and its own record of what was committed: plain triggers that know nothing of sseapp.

CREATE TABLE item (
    id bigint PRIMARY KEY,
    grp integer NOT NULL,
    status text,
    amount numeric(10, 2) NOT NULL,
    at timestamptz NOT NULL,
    note text,
    version integer NOT NULL DEFAULT 0
);
-- no key: n is unique by what writes it
CREATE TABLE entry (n bigint GENERATED ALWAYS AS IDENTITY, item bigint, what text);

CREATE TABLE version (key bigint PRIMARY KEY, version integer NOT NULL);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation name NOT NULL,
    kind "char" NOT NULL DEFAULT 'w',  -- w: a row was written; T: TRUNCATE; t: a row that it took
    key bigint,
    old json,
    new json
);

-- Every write gives the row the next version of its key, across deletes, and so takes a lock on the key.
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO version VALUES (NEW.id, 1)
    ON CONFLICT (key) DO UPDATE SET version = version.version + 1 RETURNING version INTO NEW.version;
    RETURN NEW;
END
$body$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION stamp();

-- One row for each key: what it was and what it is. The argument is the key's column; a second says that there is no key.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SET TimeZone = 'UTC' SET DateStyle = 'ISO, MDY' AS $body$
DECLARE
    old_row json;
    new_row json;
    old_key bigint;
    new_key bigint;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_row := row_to_json(OLD);
        old_key := old_row ->> TG_ARGV[0];
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := row_to_json(NEW);
        new_key := new_row ->> TG_ARGV[0];
    END IF;
    IF TG_OP = 'UPDATE' AND (old_key <> new_key OR TG_NARGS > 1) THEN
        INSERT INTO audit (relation, key, old) VALUES (TG_RELID::regclass::name, old_key, old_row);
        INSERT INTO audit (relation, key, new) VALUES (TG_RELID::regclass::name, new_key, new_row);
    ELSE
        INSERT INTO audit (relation, key, old, new)
        VALUES (TG_RELID::regclass::name, coalesce(new_key, old_key), old_row, new_row);
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER zz_note AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION note_change('id');
CREATE TRIGGER zz_note AFTER INSERT OR UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION note_change('n', 'no key');

-- A TRUNCATE, and the rows it took.
CREATE FUNCTION note_truncate() RETURNS trigger LANGUAGE plpgsql SET TimeZone = 'UTC' SET DateStyle = 'ISO, MDY' AS $body$
BEGIN
    INSERT INTO audit (relation, kind) VALUES (TG_RELID::regclass::name, 'T');
    INSERT INTO audit (relation, kind, key, old) SELECT TG_RELID::regclass::name, 't', i.id, row_to_json(i.*) FROM item i;
    RETURN NULL;
END
$body$;
CREATE TRIGGER zz_note_truncate BEFORE TRUNCATE ON item FOR EACH STATEMENT EXECUTE FUNCTION note_truncate();
