#compdef task-pipeline
# Completions of task-pipeline for zsh: task-pipeline itself says what can come next.
_task-pipeline() {
    local line word help
    local -a offers begun
    local -a before=("${(@)words[2,CURRENT-1]}")
    local prefix=$PREFIX
    # What stands before `=` is not completed again.
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    while IFS= read -r line; do
        word=${${${line%%$'\t'*}//\\/\\\\}//:/\\:}
        help=${line#*$'\t'}
        case $line in
            :files) _files ;;
            :files=) compset -P 1 '*='; _files ;;
            :folders) _files -/ ;;
            :commands) _command_names -e ;;
            *[=:/]$'\t'*) begun+=("$word:$help") ;;
            *) offers+=("$word:$help") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" complete -- "${(@Q)before}" "${(Q)prefix}" 2>/dev/null)
    # Behind these something follows.
    (( $#begun )) && _describe -V task-pipeline begun -S ''
    (( $#offers )) && _describe -V task-pipeline offers
}
if [[ $funcstack[1] == _task-pipeline ]]; then
    _task-pipeline "$@"
else
    compdef _task-pipeline task-pipeline
fi
