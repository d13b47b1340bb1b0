-- Functions are written for each watch from here on, by the last step of the install. Every table has a key, or a replica identity.
ALTER TABLE sseapp.entangled_table ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE sseapp.watched_table ADD failure text;
IF to_regclass('sseapp.binding') IS NOT NULL THEN
    ALTER TABLE sseapp.binding REPLICA IDENTITY FULL;
END IF;
