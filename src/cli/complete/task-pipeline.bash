# Completions of task-pipeline for bash: task-pipeline itself says what can come next.
_task_pipeline() {
    COMPREPLY=()
    local line before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    # Behind `=`, which is a word of its own.
    [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && before+=(=)
    while IFS= read -r line; do
        case $line in
            :files*) compopt -o bashdefault -o default 2>/dev/null ;;
            :folders) compopt -o dirnames 2>/dev/null ;;
            *=$'\t'*) compopt -o nospace 2>/dev/null; COMPREPLY+=("${line%%$'\t'*}") ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${1/#\~/$HOME}" complete -- "${before[@]}" "$2" 2>/dev/null)
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -F _task_pipeline -o nosort task-pipeline
else
    complete -F _task_pipeline -o bashdefault -o default task-pipeline
fi
