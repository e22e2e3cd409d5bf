#compdef task-pipeline
# Completions of task-pipeline for zsh: task-pipeline itself says what can come next.
_task-pipeline() {
    local line word help
    local -i width=0
    local -a lines offers begun offered shown
    local -a before=("${(@)words[2,CURRENT-1]}")
    local prefix=$PREFIX
    # What stands before `=` is not completed again.
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    while IFS= read -r line; do
        case $line in
            :files) _files ;;
            :files=) compset -P 1 '*='; _files ;;
            :folders) _files -/ ;;
            :commands) _command_names -e ;;
            *) lines+=("$line") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" complete -- "${(@Q)before}" "${(Q)prefix}" 2>/dev/null)
    for word in "${(@)lines%%$'\t'*}"; do
        (( $#word > width )) && width=$#word
    done
    # In the order in which they came, which _describe does not keep. Behind some something follows.
    for line in "${(@)lines}"; do
        word=${line%%$'\t'*}
        help="${(r:width:)word}  -- ${line#*$'\t'}"
        if [[ $word == *[=:/] ]]; then
            begun+=("$word")
            shown+=("${help[1,COLUMNS-1]}")
        else
            offers+=("$word")
            offered+=("${help[1,COLUMNS-1]}")
        fi
    done
    (( $#begun )) && compadd -V task-pipeline -S '' -l -d shown -a begun
    (( $#offers )) && compadd -V task-pipeline -l -d offered -a offers
}
if [[ $funcstack[1] == _task-pipeline ]]; then
    _task-pipeline "$@"
else
    compdef _task-pipeline task-pipeline
fi
