WITH expected (id) AS (VALUES ('leave_holiday'), ('leave_sick'), ('leave_unpaid'))
SELECT 'the leave type ' || expected.id || ' is missing' AS fault
FROM expected
LEFT JOIN leave_types ON leave_types.id = expected.id
WHERE leave_types.id IS NULL;

SELECT 'there is no department' AS fault
WHERE NOT EXISTS (SELECT 1 FROM departments);

SELECT 'employee ' || e.number || ' has two approved leaves at one time' AS fault
FROM leave_requests a
JOIN leave_requests b ON b.employee_id = a.employee_id AND b.id > a.id AND b.first_day <= a.last_day AND b.last_day >= a.first_day
JOIN employees e ON e.id = a.employee_id
-- Two half days may share a day.
WHERE a.status = 'approved' AND b.status = 'approved' AND NOT (a.half_days = 1 AND b.half_days = 1);
