-- The sample shop of `demo`, and what goes on in it. Everything may run again on a shop of an earlier day.

-- name: shop
CREATE TABLE IF NOT EXISTS customers (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL,
    email   text NOT NULL,
    city    text NOT NULL,
    joined  date NOT NULL DEFAULT current_date
);
DO $$ BEGIN
    IF to_regtype('order_status') IS NULL THEN
        CREATE TYPE order_status AS ENUM ('new', 'paid', 'packed', 'shipped', 'delivered', 'cancelled');
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
    item        text NOT NULL,
    quantity    integer NOT NULL CHECK (quantity > 0),
    total       numeric(10, 2) NOT NULL,
    status      order_status NOT NULL DEFAULT 'new',
    note        text,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS orders_created_at ON orders (created_at);
CREATE INDEX IF NOT EXISTS orders_customer_id ON orders (customer_id);

-- name: customers
-- Fill up to so many customers.
INSERT INTO customers (name, email, city, joined)
SELECT first || ' ' || last, lower(first) || '.' || lower(last) || n || '@example.com', city,
       current_date - (random() * 700)::int
FROM generate_series(1, greatest(0, %(customers)s - (SELECT count(*) FROM customers))) AS n,
LATERAL (SELECT
    (ARRAY['Ada','Björn','Chloé','Dmitri','Eun-ji','Fatima','Grace','Hugo','Inés','Jürgen','Kwame','Li'])[1 + mod(n * 7, 12)],
    (ARRAY['Almeida','Brown','Çelik','Dubois','Eriksen','Fischer','García','Horvat','Ito','Jansen','Kim'])[1 + mod(n * 5, 11)],
    (ARRAY['Lisbon','Zürich','Kraków','Göteborg','Nairobi','Osaka','Porto Alegre'])[1 + mod(n * 3, 7)]
) AS person (first, last, city);

-- name: seed
-- Fill up to so many orders, spread over the last 48 hours, the older ones further on their way.
INSERT INTO orders (customer_id, item, quantity, total, status, created_at)
SELECT c.id, item, quantity, price * quantity,
       (CASE WHEN age > interval '30 hours' THEN 'delivered' WHEN age > interval '12 hours' THEN 'shipped'
             WHEN age > interval '4 hours' THEN 'packed' WHEN age > interval '1 hour' THEN 'paid' ELSE 'new' END)::order_status,
       now() - age
FROM (
    SELECT n, 1 + (random() * 4)::int AS quantity, random() * interval '48 hours' AS age,
           1 + floor(random() * 8)::int AS pick
    FROM generate_series(1, greatest(0, %(orders)s - (SELECT count(*) FROM orders))) AS n
) AS draw,
LATERAL (SELECT (ARRAY['tea','coffee','cups','kettle','honey','biscuits','filter papers','milk jug'])[pick],
                (ARRAY[4.50, 9.90, 24.00, 59.00, 7.25, 3.80, 2.95, 18.40])[pick]) AS goods (item, price),
LATERAL (SELECT id FROM customers WHERE n > 0 ORDER BY random() LIMIT 1) AS c
ORDER BY age DESC;

-- name: order
INSERT INTO orders (customer_id, item, quantity, total)
SELECT c.id, item, quantity, price * quantity
FROM (SELECT 1 + (random() * 4)::int AS quantity, 1 + floor(random() * 8)::int AS pick) AS draw,
LATERAL (SELECT (ARRAY['tea','coffee','cups','kettle','honey','biscuits','filter papers','milk jug'])[pick],
                (ARRAY[4.50, 9.90, 24.00, 59.00, 7.25, 3.80, 2.95, 18.40])[pick]) AS goods (item, price),
LATERAL (SELECT id FROM customers ORDER BY random() LIMIT 1) AS c;

-- name: advance
-- One of the recent orders goes a step on its way.
UPDATE orders SET status = (CASE status WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'packed' WHEN 'packed' THEN 'shipped'
                            ELSE 'delivered' END)::order_status
WHERE id = (SELECT id FROM (SELECT id FROM orders WHERE status < 'delivered' ORDER BY created_at DESC LIMIT 60) AS recent
            ORDER BY random() LIMIT 1);

-- name: note
UPDATE orders SET note = (ARRAY['ring twice','a gift','leave with the neighbour','mind the dog', NULL])[1 + floor(random() * 5)::int]
WHERE id = (SELECT id FROM (SELECT id FROM orders ORDER BY created_at DESC LIMIT 20) AS recent ORDER BY random() LIMIT 1);

-- name: cancel
UPDATE orders SET status = 'cancelled'
WHERE id = (SELECT id FROM orders WHERE status < 'packed' ORDER BY created_at DESC OFFSET floor(random() * 10)::int LIMIT 1);

-- name: remove
DELETE FROM orders
WHERE id = (SELECT id FROM orders WHERE status = 'cancelled' ORDER BY created_at LIMIT 1);

-- name: move
UPDATE customers SET city = (ARRAY['Lisbon','Zürich','Kraków','Göteborg','Nairobi','Osaka','Porto Alegre'])[1 + floor(random() * 7)::int]
WHERE id = (SELECT id FROM customers ORDER BY random() LIMIT 1);

-- name: lorry
-- In bulk: all that is packed leaves the house.
UPDATE orders SET status = 'shipped' WHERE status = 'packed';

-- name: rush
-- In bulk: an offer goes out, and forty customers answer at once.
INSERT INTO orders (customer_id, item, quantity, total, note)
SELECT id, 'tea', 2, 8.00, 'from the newsletter' FROM customers ORDER BY random() LIMIT 40;

-- name: tidy
-- What keeps the shop the same size for days: old orders leave, and all beyond the newest so many.
DELETE FROM orders
WHERE created_at < now() - interval '48 hours'
   OR id IN (SELECT id FROM orders ORDER BY created_at DESC OFFSET %(most)s);
