#compdef task-pipeline
# Completions of task-pipeline for zsh: task-pipeline itself says what can come next.
_task-pipeline() {
    local line
    local -a offers
    local -a before=("${(@)words[2,CURRENT-1]}")
    local word=$PREFIX
    # What stands before `=` is not completed again.
    [[ $PREFIX == -*=* ]] && compset -P '*='
    while IFS= read -r line; do
        case $line in
            :files) _files ;;
            :folders) _files -/ ;;
            *) offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" complete -- "${(@Q)before}" "${(Q)word}" 2>/dev/null)
    (( $#offers )) && _describe -V task-pipeline offers
}
if [[ $funcstack[1] == _task-pipeline ]]; then
    _task-pipeline "$@"
else
    compdef _task-pipeline task-pipeline
fi
