-- Functions are written for each watch from here on, by the last step of the install. Every table has a key.
ALTER TABLE sseapp.entangled_table ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
