# Completions of task-pipeline for fish: task-pipeline itself says what can come next.
function __task_pipeline_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    # What stands before `=` is not completed again.
    set -l option (string match -r -- '^-[^=]*=' $word)
    set -l value (string replace -r -- '^-[^=]*=' '' $word)
    for line in ($words[1] complete -- $words[2..-1] "$word" 2>/dev/null)
        switch $line
            case :files
                string replace -r -- '^' "$option" (__fish_complete_path "$value")
            case :files=
                set -l begun (string match -r -- '^[^=]*=' $value)
                string replace -r -- '^' "$option$begun" (__fish_complete_path (string replace -r -- '^[^=]*=' '' $value))
            case :folders
                string replace -r -- '^' "$option" (__fish_complete_directories "$value" '')
            case '*'
                echo "$option$line"
        end
    end
end
complete -c task-pipeline -k -f -a '(__task_pipeline_complete)'
