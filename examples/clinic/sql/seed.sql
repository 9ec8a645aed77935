-- A small clinic, made up: the same rows every time. All people are fictional.
CREATE OR REPLACE TABLE insurers AS
SELECT * FROM (VALUES
  (1, 'Meadow Mutual', 'basic', false, 'https://meadow.example/claims'),
  (2, 'Harbour Health', 'full', true, 'https://harbour.example/portal'),
  (3, 'Summit Care', 'full', true, 'https://summit.example/providers')
) AS t(insurer_id, name, plan, direct_billing, portal);

CREATE OR REPLACE TABLE staff AS
SELECT i AS staff_id,
       list_element(['Amara', 'Boris', 'Chen', 'Dalia', 'Emeka', 'Freya', 'Goran', 'Hana'], 1 + i % 8)
         || ' ' || list_element(['Stone', 'Rivers', 'Hill', 'Woods', 'Fields'], 1 + i % 5) AS name,
       list_element(['physician', 'nurse', 'receptionist'], 1 + i % 3) AS role,
       list_element(['north', 'south', 'east'], 1 + i % 3) AS ward,
       52000.0 + (i * 7919) % 60000 AS salary
FROM range(1, 41) AS r(i);

CREATE OR REPLACE TABLE patients AS
SELECT i AS patient_id,
       list_element(['Ada', 'Bela', 'Carl', 'Dora', 'Emil', 'Fay', 'Gus', 'Ida', 'Jon', 'Kim'], 1 + i % 10)
         || ' ' || list_element(['Alder', 'Birch', 'Cedar', 'Elm', 'Hazel', 'Larch', 'Maple'], 1 + i % 7) AS name,
       DATE '1940-01-01' + ((i * 7907) % 25000)::INTEGER AS born,
       list_element(['north', 'south', 'east'], 1 + i % 3) AS ward,
       printf('900-%02d-%04d', i % 100, (i * 37) % 10000) AS ssn,
       CASE WHEN i % 9 = 0 THEN NULL ELSE printf('patient%d@mail.example', i) END AS email,
       { 'street': printf('%d Park Lane', 1 + i % 200),
         'city': list_element(['Oakton', 'Elmsford', 'Ashby'], 1 + i % 3),
         'zip': printf('%05d', 10000 + i % 900) } AS address,
       { 'name': 'Rae ' || list_element(['Alder', 'Birch', 'Cedar', 'Elm', 'Hazel', 'Larch', 'Maple'], 1 + i % 7),
         'phone': printf('+1 555 %04d', 100 + i),
         'ssn': printf('901-%02d-%04d', i % 100, (i * 41) % 10000) } AS relative,
       { 'name': list_element(['Bridge Street', 'Old Mill', 'Station'], 1 + i % 3) || ' Practice',
         'phone': printf('+1 555 %04d', 9000 + i % 3) } AS practice,
       1 + i % 3 AS insurer_id
FROM range(1, 501) AS r(i);

CREATE OR REPLACE TABLE visits AS
SELECT i AS visit_id,
       1 + (i * 13) % 500 AS patient_id,
       1 + (i * 7) % 40 AS staff_id,
       TIMESTAMP '2025-01-01 08:00:00' + INTERVAL (i * 97) MINUTE AS seen_at,
       list_element(['asthma', 'fracture', 'influenza', 'migraine', 'depression', 'checkup'], 1 + i % 6) AS diagnosis,
       (80 + (i * 31) % 400)::DECIMAL(8, 2) AS cost
FROM range(1, 2001) AS r(i);

CREATE OR REPLACE TABLE prescriptions AS
SELECT i AS prescription_id,
       1 + (i * 13) % 2000 AS visit_id,
       list_element(['salbutamol', 'ibuprofen', 'sertraline', 'sumatriptan'], 1 + i % 4) AS drug,
       1 + i % 3 AS per_day,
       5 + i % 26 AS days,
       NULL::DOUBLE AS dose_mg
FROM range(1, 1201) AS r(i);

CREATE OR REPLACE TABLE appointments AS
SELECT i AS appointment_id,
       1 + (i * 17) % 500 AS patient_id,
       TIMESTAMPTZ '2026-01-05 08:00:00+00' + to_minutes(i * 45) AS starts_at,
       to_minutes(30) AS length,
       TIMESTAMPTZ '2026-01-04 18:00:00+00' AS reminder,
       'headache' AS complaint,
       NULL::VARCHAR AS video_link,
       []::VARCHAR[] AS needs,
       'hana' AS booked_by,
       '1' AS desk
FROM range(1, 13) AS r(i);

-- One pixel a metre.
CREATE OR REPLACE TABLE floor_plans AS
SELECT ward, from_base64(png) AS png
FROM (VALUES
  ('north', 'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAHAQAAAAAdIjHzAAAAEUlEQVR42mNgYMgDwjowyQEAD5ACP3xBW8kAAAAASUVORK5CYII='),
  ('south', 'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAHAQAAAAAdIjHzAAAAE0lEQVR42mNgYCgDwjoGPiAWAAAOiAIHCJtI1wAAAABJRU5ErkJggg=='),
  ('east', 'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAHAQAAAAAdIjHzAAAAEUlEQVR42mNgYAgDwjowyQIADOwB22llug8AAAAASUVORK5CYII=')
) AS t(ward, png);
