# Completions of task-pipeline for bash: task-pipeline itself says what can come next.
_task_pipeline() {
    COMPREPLY=()
    local line word words=() rest=$COMP_LINE i
    # What `=` and `:` part is one word, which bash has as several.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -eq 0 || $rest == [[:space:]]* || -z $rest ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("")
        fi
        rest=${rest#"$word"}
        # Up to the cursor.
        [[ $i -eq $COMP_CWORD && -n $2 && $word == "$2"* ]] && word=$2
        words[${#words[@]}-1]+=$word
    done
    while IFS= read -r line; do
        case $line in
            :files*) compopt -o bashdefault -o default 2>/dev/null ;;
            :folders) compopt -o dirnames 2>/dev/null ;;
            :commands) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -c -- "$2") ;;
            *[=:/]$'\t'*) compopt -o nospace 2>/dev/null; COMPREPLY+=("${line%%$'\t'*}") ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${1/#\~/$HOME}" complete -bash -- "$2" "${words[@]:1}" 2>/dev/null)
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -F _task_pipeline -o nosort task-pipeline
else
    complete -F _task_pipeline -o bashdefault -o default task-pipeline
fi
