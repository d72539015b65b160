-- +goose Up
-- The first forecast that was given, in milliseconds, and what came of it; first_due_at is when its p90 passes.
ALTER TABLE requests ADD COLUMN first_basis TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN first_ahead INTEGER;
ALTER TABLE requests ADD COLUMN first_busy INTEGER; -- 1: every server was busy, so there was something to forecast
ALTER TABLE requests ADD COLUMN first_p50_ms INTEGER;
ALTER TABLE requests ADD COLUMN first_p90_ms INTEGER;
ALTER TABLE requests ADD COLUMN first_ready_p50_ms INTEGER;
ALTER TABLE requests ADD COLUMN first_ready_p90_ms INTEGER;
ALTER TABLE requests ADD COLUMN first_due_at TEXT;
ALTER TABLE requests ADD COLUMN waited_ms INTEGER; -- sign-up to the first claim
ALTER TABLE requests ADD COLUMN ready_ms INTEGER;  -- sign-up to ready
ALTER TABLE requests ADD COLUMN raised_at TEXT;    -- when waiting last raised its priority
CREATE INDEX requests_arrived ON requests (way, enqueued_at);
CREATE INDEX requests_due ON requests (way, first_due_at) WHERE first_busy = 1;
-- What the operators' numbers count.
CREATE INDEX requests_states ON requests (state) WHERE state <> 'pending';
CREATE INDEX requests_finished ON requests (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX requests_overdue ON requests (overdue_at) WHERE state <> 'completed' AND state <> 'cancelled';

-- +goose Down
DROP INDEX requests_overdue;
DROP INDEX requests_finished;
DROP INDEX requests_states;
DROP INDEX requests_due;
DROP INDEX requests_arrived;
ALTER TABLE requests DROP COLUMN raised_at;
ALTER TABLE requests DROP COLUMN ready_ms;
ALTER TABLE requests DROP COLUMN waited_ms;
ALTER TABLE requests DROP COLUMN first_due_at;
ALTER TABLE requests DROP COLUMN first_ready_p90_ms;
ALTER TABLE requests DROP COLUMN first_ready_p50_ms;
ALTER TABLE requests DROP COLUMN first_p90_ms;
ALTER TABLE requests DROP COLUMN first_p50_ms;
ALTER TABLE requests DROP COLUMN first_busy;
ALTER TABLE requests DROP COLUMN first_ahead;
ALTER TABLE requests DROP COLUMN first_basis;
