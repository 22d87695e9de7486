# Read by sh on a node, as whoever has logged in: takes a cnsenter from stdin, in a folder that nobody
# else can write to, and removes it when stdin ends. Its lines on stdout begin with a word that no login
# script says. All of it is read before any of it runs, for the rest of stdin is not the shell's.
main() {
    LC_ALL=C
    export LC_ALL
    umask 077
    id=$(id -u)
    folder=
    trap 'remove' 0
    trap 'exit 1' HUP INT PIPE TERM
    # A connection that is cut need not end: nobody waits for ever, where that can be had.
    limited=
    if timeout 9 true 2>/dev/null; then limited="timeout $LIMIT"; fi

    say machine "$(uname -m)"
    read -r size sum || exit 1

    tried=
    # What is in memory is gone after a power cut, and what is in /tmp after a start.
    for place in "${XDG_RUNTIME_DIR:-/run/user/$id}" /run /dev/shm /tmp /var/tmp "$HOME"; do
        if use "$place"; then break; fi
        tried="$tried; $place $why"
    done
    if [ -z "$folder" ]; then
        say nowhere "${tried#; }"
        exit 1
    fi

    say ready
    $limited head -c "$size" >cnsenter || { say failed; exit 1; }
    got=$(digest) || { say unchecked; exit 1; }
    if [ "${got%% *}" != "$sum" ]; then
        say differs "${got%% *}"
        exit 1
    fi
    chmod 700 cnsenter || { say failed; exit 1; }
    say stored "$sum" "$folder/cnsenter"

    # It stays until it runs, or kpexec is gone.
    $limited head -c 1 >/dev/null
    remove && say removed
}

say() {
    echo "$MARK $*"
}

digest() {
    sha256sum <cnsenter 2>/dev/null || shasum -a 256 <cnsenter 2>/dev/null ||
        openssl dgst -sha256 -r <cnsenter 2>/dev/null
}

# Makes the folder in this place, and goes there; else says why not.
use() {
    case $1 in
    /*[!A-Za-z0-9_@%+:,./-]*) why="has a name that shells take for something else" && return 1 ;;
    /*) ;;
    *) why="is no path" && return 1 ;;
    esac
    # Others could put something else in the folder's place.
    set -- "$1" $(ls -ldn "$1/." 2>/dev/null)
    case $4 in
    0 | "$id") ;;
    "") why="is not there" && return 1 ;;
    *) why="belongs to somebody else" && return 1 ;;
    esac
    case $2 in
    d????????[tT]*) ;;
    d????w* | d???????w*) why="may be written to by others" && return 1 ;;
    esac
    folder=${1%/}/$NAME
    # Whatever is there already, a link for one, makes this fail.
    if ! mkdir -m 700 "$folder" 2>/dev/null; then
        folder=
        why="cannot be written to"
        return 1
    fi
    if ! cd "$folder" || ! is_ours $(ls -ldn .); then
        why="changes while it is used"
    elif ! has_room "$(df -Pk . | tail -n 1)"; then
        why="is full"
    elif ! runs_programs; then
        why="is mounted noexec"
    else
        return 0
    fi
    remove
    return 1
}

is_ours() {
    case $3:$1 in
    "$id":drwx--[-S]---*) ;;
    *) return 1 ;;
    esac
}

has_room() {
    set -- $1
    [ "${4:-0}" -gt "$((size / 1024))" ]
}

runs_programs() {
    printf '#!/bin/sh\nexit 0\n' >probe && chmod 700 probe && ./probe 2>/dev/null && rm probe
}

remove() {
    if [ -n "$folder" ]; then
        cd / && rm -rf "$folder" && folder=
    fi
}
