#compdef task-pipeline
# Completions of task-pipeline for zsh: task-pipeline itself says what can come next.
_task-pipeline() {
    local line
    local -a offers begun
    local -a before=("${(@)words[2,CURRENT-1]}")
    local word=$PREFIX
    # What stands before `=` is not completed again.
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    while IFS= read -r line; do
        case $line in
            :files) _files ;;
            :files=) compset -P 1 '*='; _files ;;
            :folders) _files -/ ;;
            *=$'\t'*) begun+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            *) offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" complete -- "${(@Q)before}" "${(Q)word}" 2>/dev/null)
    # Behind these comes a value.
    (( $#begun )) && _describe -V task-pipeline begun -S ''
    (( $#offers )) && _describe -V task-pipeline offers
}
if [[ $funcstack[1] == _task-pipeline ]]; then
    _task-pipeline "$@"
else
    compdef _task-pipeline task-pipeline
fi
