# text_trim TEXT: TEXT without blanks at its ends.
text_trim() {
  [ $# -eq 1 ] || { echo "text_trim: one argument, please" >&2; return 2; } # check
  text=${1#"${1%%[! ]*}"}
  printf '%s\n' "${text%"${text##*[! ]}"}"
}
