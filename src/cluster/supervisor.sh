# Runs a PostgreSQL server for as long as the other end of standard input is held open.
#
# Whoever started this holds the writing end of a pipe. When that process ends, for whatever reason and with whatever
# signal, the kernel closes the pipe, `read` sees the end of input, and the server is stopped and its folder removed.
#
#   sh -c SCRIPT supervisor STOP_SIGNAL EXITED_FILE REMOVE_DIR_OR_EMPTY LOG_FILE SERVER [ARGUMENT...]
signal=$1 exited=$2 remove=$3 log=$4
shift 4
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
(
    while read -r _; do :; done <&3
    # A server that has gone by itself left its mark: its number may belong to another process by now.
    # Asked again until it has gone, because it may not have set up its signal handlers yet.
    while [ ! -e "$exited" ] && kill -"$signal" "$server" 2>/dev/null; do sleep 0.2 || sleep 1; done
) >/dev/null 2>&1 &
watcher=$!
exec 3<&- </dev/null
wait "$server"
status=$?
: >"$exited"
# Nothing is removed while the owner is there: it may want to read the server's log.
wait "$watcher"
[ -z "$remove" ] || rm -rf "$remove"
exit "$status"
