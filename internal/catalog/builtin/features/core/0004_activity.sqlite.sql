-- What happened, for people to read. There are no foreign keys: an entry outlives the person and the record it speaks of.
CREATE TABLE activity_log (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    person_id TEXT, -- NULL: a program
    person_name TEXT NOT NULL DEFAULT '', -- as it was then
    action TEXT NOT NULL CHECK (length(action) > 0), -- 'item.created'
    subject_kind TEXT NOT NULL DEFAULT '',
    subject_id TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail))
) STRICT;
CREATE INDEX activity_log_time ON activity_log (occurred_at);
CREATE INDEX activity_log_subject ON activity_log (subject_kind, subject_id, occurred_at);
CREATE INDEX activity_log_person ON activity_log (person_id, occurred_at);
CREATE TRIGGER activity_log_no_update BEFORE UPDATE ON activity_log
BEGIN
    SELECT RAISE(ABORT, 'activity_log is append-only: record a correction instead');
END;
CREATE TRIGGER activity_log_no_delete BEFORE DELETE ON activity_log
BEGIN
    SELECT RAISE(ABORT, 'activity_log is append-only: record a correction instead');
END;
