# Runs one throwaway Postgres and outlives whoever asked for it just long enough to clean up.
#
# It reads commands from standard input and answers each with one line. The other end of that pipe is held by the
# process that wants the server and by nobody else: when that process ends, however it ends (kill -9 too), the read
# below sees the end of the file, the server is stopped and its directory removed. Nothing can leak, and no test
# package needs a TestMain for it.
#
# Arguments: the server's directory, the directory of Postgres's programs, then the server's own arguments.
dir=$1 bin=$2
shift 2
cd "$dir" || exit 1
pid=
trap '' PIPE # an answer nobody reads any more must not end us before we have cleaned up

halt() { # $1 is the signal: INT rolls back and stops, QUIT stops as a crash would, KILL is a crash
	[ -n "$pid" ] || return 0
	signal=$1
	# A shell starts its background jobs with INT and QUIT ignored, and Postgres takes a moment to catch them: until
	# it says that it is ready, such a signal would be lost and the wait below would last for ever.
	grep -q 'ready to accept connections' server.log || signal=KILL
	kill "-$signal" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
}

while read -r command argument; do
	case $command in
	init)
		if "$bin/initdb" -D data -U postgres --pwfile=password --auth=scram-sha-256 \
			--encoding=UTF8 --locale="$argument" --no-sync --no-instructions >initdb.log 2>&1; then
			echo ok
		else
			echo failed
		fi
		;;
	start)
		# A fresh log each time, made before we answer: what it says is about this start.
		: >server.log
		"$bin/postgres" -D data -p "$argument" "$@" </dev/null >>server.log 2>&1 &
		pid=$!
		echo ok
		;;
	stop)
		halt "$argument"
		echo ok
		;;
	esac
done

halt QUIT
cd / || exit 1
# Children of a killed server may write for a moment longer.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$dir" 2>/dev/null && exit 0
	sleep 0.2
done
exit 1
