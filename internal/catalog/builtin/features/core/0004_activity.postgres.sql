-- What happened, for people to read. There are no foreign keys: an entry outlives the person and the record it speaks of.
CREATE TABLE activity_log (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    person_id text, -- NULL: a program
    person_name text NOT NULL DEFAULT '', -- as it was then
    action text NOT NULL CHECK (length(action) > 0), -- 'item.created'
    subject_kind text NOT NULL DEFAULT '',
    subject_id text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX activity_log_time ON activity_log (occurred_at);
CREATE INDEX activity_log_subject ON activity_log (subject_kind, subject_id, occurred_at);
CREATE INDEX activity_log_person ON activity_log (person_id, occurred_at);
CREATE TRIGGER activity_log_append_only BEFORE UPDATE OR DELETE ON activity_log FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

ALTER TABLE activity_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE activity_log FORCE ROW LEVEL SECURITY;
-- One reads one's own entries, or all with the permission; one writes entries only in one's own name.
CREATE POLICY activity_log_read ON activity_log FOR SELECT
    USING ((SELECT app.may('activity.read')) OR ((SELECT app.allowed()) AND person_id = (SELECT app.person_id())));
CREATE POLICY activity_log_append ON activity_log FOR INSERT
    WITH CHECK ((SELECT app.allowed()) AND ((SELECT app.person_id()) IS NULL OR person_id = (SELECT app.person_id())));
