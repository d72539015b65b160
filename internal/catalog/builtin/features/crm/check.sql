WITH expected (kind) AS (VALUES ('open'), ('won'), ('lost'))
SELECT 'the pipeline has no stage of the kind ' || expected.kind AS fault
FROM expected
WHERE NOT EXISTS (SELECT 1 FROM pipeline_stages s WHERE s.kind = expected.kind);

SELECT 'the deal ' || d.id || ' is closed and in an open stage, or the other way round' AS fault
FROM deals d
JOIN pipeline_stages s ON s.id = d.stage_id
WHERE (s.kind = 'open') <> (d.closed_at IS NULL);
