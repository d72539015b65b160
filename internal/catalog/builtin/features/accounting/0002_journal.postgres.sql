-- An entry is written as a draft with its lines and then posted. A posted one never changes: a mistake is mended by an entry that reverses it.
CREATE TABLE journal_entries (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    number text NOT NULL UNIQUE,
    entry_date date NOT NULL,
    period_id text NOT NULL REFERENCES fiscal_periods (id) ON DELETE RESTRICT,
    memo text NOT NULL DEFAULT '',
    source text NOT NULL DEFAULT '', -- what it comes from: an invoice's number, a day's sales
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    reverses_id text UNIQUE REFERENCES journal_entries (id) ON DELETE RESTRICT,
    posted_at timestamptz, -- NULL: a draft
    posted_by text REFERENCES people (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (reverses_id <> id)
);
CREATE INDEX journal_entries_date ON journal_entries (entry_date);
CREATE INDEX journal_entries_period ON journal_entries (period_id);
CREATE INDEX journal_entries_posted_by ON journal_entries (posted_by);
CREATE INDEX journal_entries_drafts ON journal_entries (created_at) WHERE posted_at IS NULL;

CREATE TABLE journal_lines (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    entry_id text NOT NULL REFERENCES journal_entries (id) ON DELETE CASCADE,
    line_number integer NOT NULL CHECK (line_number > 0),
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE RESTRICT,
    debit_minor bigint NOT NULL DEFAULT 0 CHECK (debit_minor >= 0), -- in the entry's currency
    credit_minor bigint NOT NULL DEFAULT 0 CHECK (credit_minor >= 0),
    memo text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (entry_id, line_number),
    CHECK ((debit_minor = 0) <> (credit_minor = 0)) -- one side, and not nothing
);
CREATE INDEX journal_lines_account ON journal_lines (account_id);

CREATE FUNCTION app.guard_journal_entry() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.posted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a posted journal entry never changes: reverse it with another' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' AND NEW.posted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a journal entry begins as a draft: post it once its lines are there' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.posted_at IS NOT NULL THEN
        IF NOT coalesce((SELECT sum(debit_minor) = sum(credit_minor) AND sum(debit_minor) > 0 FROM public.journal_lines WHERE entry_id = NEW.id), false) THEN
            RAISE EXCEPTION 'the entry does not balance: its debits must equal its credits and not be zero' USING ERRCODE = 'check_violation';
        END IF;
        -- The lock keeps the period from being closed between this look and the commit.
        PERFORM 1 FROM public.fiscal_periods p
        WHERE p.id = NEW.period_id AND p.closed_at IS NULL AND NEW.entry_date BETWEEN p.first_day AND p.last_day
        FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the entry''s day is not in its period, or the period is closed' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER journal_entries_guard BEFORE INSERT OR UPDATE OR DELETE ON journal_entries
    FOR EACH ROW EXECUTE FUNCTION app.guard_journal_entry();

CREATE FUNCTION app.guard_journal_line() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    entry record;
BEGIN
    -- The lock makes a posting and a change of its lines wait for each other; in the order of ids, so that two such changes cannot wait in a circle.
    FOR entry IN
        SELECT posted_at FROM public.journal_entries
        WHERE id IN (CASE WHEN TG_OP <> 'INSERT' THEN OLD.entry_id END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.entry_id END)
        ORDER BY id FOR UPDATE
    LOOP
        IF entry.posted_at IS NOT NULL THEN
            RAISE EXCEPTION 'a posted journal entry never changes: reverse it with another' USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER journal_lines_guard BEFORE INSERT OR UPDATE OR DELETE ON journal_lines
    FOR EACH ROW EXECUTE FUNCTION app.guard_journal_line();
CREATE TRIGGER journal_entries_touch BEFORE UPDATE ON journal_entries FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE journal_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY journal_entries_read ON journal_entries FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY journal_entries_write ON journal_entries FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
ALTER TABLE journal_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY journal_lines_read ON journal_lines FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY journal_lines_write ON journal_lines FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
