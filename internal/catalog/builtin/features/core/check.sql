-- The roles that programs name, with what makes them useful.
WITH expected (id) AS (VALUES ('owner'), ('manager'), ('staff'), ('accountant'), ('viewer'))
SELECT 'the role ' || expected.id || ' is missing' AS fault
FROM expected
LEFT JOIN roles ON roles.id = expected.id
WHERE roles.id IS NULL;

SELECT 'no role may do everything' AS fault
WHERE NOT EXISTS (SELECT 1 FROM role_permissions WHERE permission = '*');

WITH expected (key) AS (VALUES ('company.name'), ('money.currency'), ('time.zone'), ('tax.prices_include_tax'))
SELECT 'the setting ' || expected.key || ' is missing' AS fault
FROM expected
LEFT JOIN settings ON settings.key = expected.key
WHERE settings.key IS NULL;

SELECT 'there is no default tax rate' AS fault
WHERE NOT EXISTS (SELECT 1 FROM tax_rates WHERE is_default AND active);

SELECT 'a role was granted to a person who is not there: ' || g.person_id AS fault
FROM person_roles g
LEFT JOIN people p ON p.id = g.person_id
WHERE p.id IS NULL;
