# By default the command is in a group of its own, below the admin's, and not in the container's.
. /lib.sh
start web
cnsenter web -- sleep 4701 &
eventually is_running 'sleep 4701'
inner=$(running 'sleep 4701')
case $(group_of "$inner") in
  /user.slice/user-0.slice/session-1.scope/cnsenter-*) ;;
  *) exit 1 ;;
esac
test "$(ls -d $session/cnsenter-* | wc -l)" = 1
is_empty "$group"
kill "$inner"
expect 143 wait $!
is_empty $session
