WITH expected (code) AS (VALUES ('1010'), ('1020'), ('1100'), ('1300'), ('2010'), ('2020'), ('3010'), ('4010'), ('5010'))
SELECT 'the account ' || expected.code || ' is missing' AS fault
FROM expected
LEFT JOIN accounts ON accounts.code = expected.code
WHERE accounts.code IS NULL;

SELECT 'the account ' || a.code || ' is not of the kind of its parent' AS fault
FROM accounts a
JOIN accounts p ON p.id = a.parent_id
WHERE p.kind <> a.kind;

SELECT 'the fiscal periods ' || a.name || ' and ' || b.name || ' overlap' AS fault
FROM fiscal_periods a
JOIN fiscal_periods b ON b.id > a.id AND b.first_day <= a.last_day AND b.last_day >= a.first_day;

SELECT 'the posted entry ' || e.number || ' does not balance' AS fault
FROM journal_entries e
LEFT JOIN journal_lines l ON l.entry_id = e.id
WHERE e.posted_at IS NOT NULL
GROUP BY e.id, e.number
HAVING coalesce(sum(l.debit_minor), 0) <> coalesce(sum(l.credit_minor), 0) OR coalesce(sum(l.debit_minor), 0) = 0;
