-- What was said or is to be done: a call, a mail, a meeting, a note, a task.
CREATE TABLE interactions (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    kind text NOT NULL CHECK (kind IN ('call', 'email', 'meeting', 'note', 'task')),
    company_id text REFERENCES companies (id) ON DELETE CASCADE,
    contact_id text REFERENCES contacts (id) ON DELETE CASCADE,
    deal_id text REFERENCES deals (id) ON DELETE CASCADE,
    person_id text REFERENCES people (id) ON DELETE SET NULL,
    subject text NOT NULL CHECK (length(trim(subject)) > 0),
    body text NOT NULL DEFAULT '',
    occurred_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz, -- of a task
    done_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (company_id IS NOT NULL OR contact_id IS NOT NULL OR deal_id IS NOT NULL),
    CHECK (kind = 'task' OR (due_at IS NULL AND done_at IS NULL))
);
CREATE INDEX interactions_company ON interactions (company_id, occurred_at);
CREATE INDEX interactions_contact ON interactions (contact_id, occurred_at);
CREATE INDEX interactions_deal ON interactions (deal_id, occurred_at);
CREATE INDEX interactions_tasks ON interactions (person_id, due_at) WHERE kind = 'task' AND done_at IS NULL;
CREATE TRIGGER interactions_touch BEFORE UPDATE ON interactions FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE interactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE interactions FORCE ROW LEVEL SECURITY;
CREATE POLICY interactions_read ON interactions FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY interactions_write ON interactions FOR ALL USING ((SELECT app.may('crm.write'))) WITH CHECK ((SELECT app.may('crm.write')));
