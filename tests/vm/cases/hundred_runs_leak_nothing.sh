# One after the other and side by side; what is left behind is looked for after every case.
. /lib.sh
start web
for _ in $(seq 40); do
  cnsenter web -- true
  cnsenter --cgroup=target web -- true 2>/dev/null
done
for _ in $(seq 20); do
  cnsenter web -- true &
done
wait
is_empty "$group"
is_empty $session
