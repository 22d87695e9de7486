_kpexec() {
    local IFS=$'\n' words=("${COMP_WORDS[@]}")
    # What is after the cursor is not part of the word; a lone "=" or ":" is a word of bash's own.
    [[ ${words[COMP_CWORD]} == *[!=:]* ]] && words[COMP_CWORD]=$2
    COMPREPLY=($(VARIABLE=bash INDEX=$COMP_CWORD kpexec -- "${words[@]}" 2>/dev/null))
    # A word that goes on gets no blank.
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:] ]] && compopt -o nospace 2>/dev/null
}
complete -F _kpexec kpexec
