// Package jobs runs the hub's background work on River, on either engine: it enqueues inside the hub's own transactions, works the line in
// its order, and keeps the hub's clockwork (heartbeat, reaping of dead hubs, sweeping).
//
// It decides nothing: a worker decodes its job and calls the hub. What is a job (and so survives a crash) and what runs by the clock:
//
//	job        queue      calls             tried again
//	provision  provision  Handler.Provision after 1 s, 2 s, 4 s … at most a minute apart
//	cleanup    cleanup    Handler.Cleanup   the same, at most five minutes apart
//	retry      retry      Handler.RetryByItself, at the time that the failure named; again as provision
//	provision  retry      Handler.Provision of what was retried so, so that a cluster that is away holds up nobody else
//	mail       mail       Handler.SendMail  after 5 s, doubling to half an hour, for about five days
//
//	loop       every      calls
//	beat       BeatEvery  Handler.Beat, first before Start returns
//	reap       ReapEvery  Handler.Reap, first right after that beat; then frees the jobs that dead hubs held
//	sweep      5 minutes  Handler.Sweep
//	tidy       TidyEvery  Handler.Tidy, which asks itself whether it is due
//
// # Order
//
// Provision jobs are fetched by River's (priority, scheduled_at, id), which is the order of the line: urgent is 1, high 2, normal 3, and
// scheduled_at is the enqueue time. River calls every job that names a time "scheduled" and leaves it to a scheduler that looks every five
// seconds; the hook in enqueue.go makes them available at once.
//
// # Promptness
//
// On Postgres each enqueue sends the NOTIFY that River's producers listen for, in the same transaction. (River sends one too, but leaves it
// out when another was sent within its fetch cooldown, whose transaction may commit earlier or never.) On SQLite there is one process and
// one writer connection, so an enqueue rings a bell in memory and the fetch that it starts waits for that connection, which it gets when
// the transaction commits: no polling, no outbox rows. Jobs that another process put there (the command line) are found by a slow poll.
//
// # Crashes
//
// River frees a job whose worker died after its own long timeout. Here a job is free as soon as its hub is known to be dead: on SQLite at
// start, since only one hub runs on a file; on Postgres when Options.Alive no longer names it.
package jobs
