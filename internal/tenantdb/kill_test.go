package tenantdb_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// victimVariable makes this test binary the victim of TestApplyIsOnceOverKills: driver, dialect and address of the database to work on.
const victimVariable = "TENANTDB_TEST_VICTIM_"

func TestMain(m *testing.M) {
	if driver := os.Getenv(victimVariable + "DRIVER"); driver != "" {
		err := beVictim(driver, hub.Dialect(os.Getenv(victimVariable+"DIALECT")), os.Getenv(victimVariable+"DSN"))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) // it ends by being killed, or with an error
	}
	testkit.Main(m)
}

// counted is a step whose effect can be counted.
func counted(i int) hub.Step {
	return migration(fmt.Sprintf("core/%04d", i), fmt.Sprintf("INSERT INTO effects VALUES (%d); CREATE TABLE t%d (n INTEGER);", i, i))
}

// beVictim applies steps for ever, from the first one on: those of its former life are in the ledger.
func beVictim(driver string, d hub.Dialect, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	for i := 1; ; i++ {
		if err := newDB().Apply(context.Background(), db, d, counted(i)); err != nil {
			return err
		}
	}
}

// A worker is killed at random instants, and the next one goes on. Built with -tags sabotage this must fail.
func TestApplyIsOnceOverKills(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { killOften(t, e, 12) })
	}
}

func killOften(t *testing.T, e engine, kills int) {
	t.Helper()
	dsn := e.place(t)
	db := opened(t, e.driver, dsn)
	exec(t, db, "CREATE TABLE effects (step INTEGER NOT NULL)")
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // instants, not secrets
	life := 40 * time.Millisecond
	for kill := 0; kill < kills; {
		before := count(t, db, "SELECT count(*) FROM effects")
		liveAndDie(t, e, dsn, life/2+time.Duration(random.Int64N(int64(life))))
		if count(t, db, "SELECT count(*) FROM effects") == before {
			life += life / 4 // killed before it did anything, which shows nothing
			continue
		}
		kill++
	}
	// In one statement, since Postgres may still be committing for the dead.
	var steps, twice, rows int
	if err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(DISTINCT step) FROM effects), (SELECT count(*) - count(DISTINCT step) FROM effects),
		(SELECT count(*) FROM kitshub_ledger)`).Scan(&steps, &twice, &rows); err != nil {
		t.Fatal(err)
	}
	if twice != 0 || steps != rows {
		t.Errorf("after %d kills %d steps have an effect, %d of them once too often; %d are in the ledger", kills, steps, twice, rows)
	}
	t.Logf("%d kills, %d steps", kills, steps)
}

// liveAndDie runs a victim and ends it with kill -9 when its life is over.
func liveAndDie(t *testing.T, e engine, dsn string, life time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	victim := osexec.CommandContext(ctx, self)
	victim.Env = append(os.Environ(), victimVariable+"DRIVER="+e.driver, victimVariable+"DIALECT="+string(e.dialect), victimVariable+"DSN="+dsn)
	out, err := victim.CombinedOutput()
	if ctx.Err() == nil || len(out) > 0 {
		t.Fatalf("the victim ended by itself: %v\n%s", err, out)
	}
}
