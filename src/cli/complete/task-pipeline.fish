# Completions of task-pipeline for fish: task-pipeline itself says what can come next.
function __task_pipeline_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    # What stands before `=` is not completed again.
    set -l option (string match -r -- '^-[^=]*=' $word)
    set -l value (string replace -r -- '^-[^=]*=' '' $word)
    # Without quotes, of which the last may be open.
    if string match -qr '^["\']' -- $value
        set value (string sub -s 2 -- $value)
    else
        set value (string unescape -- $value)
    end
    for line in ($program complete -- $words[2..-1] "$option$value" 2>/dev/null)
        switch $line
            case :files
                string replace -r -- '^' "$option" (__fish_complete_path "$value")
            case :files=
                set -l begun (string match -r -- '^[^=]*=' $value)
                string replace -r -- '^' "$option$begun" (__fish_complete_path (string replace -r -- '^[^=]*=' '' $value))
            case :folders
                string replace -r -- '^' "$option" (__fish_complete_directories "$value" '')
            case :commands
                __fish_complete_command
            case '*'
                echo "$option$line"
        end
    end
end
complete -c task-pipeline -k -f -a '(__task_pipeline_complete)'
