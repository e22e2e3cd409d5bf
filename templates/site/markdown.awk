# Of Markdown what these pages use: headings, paragraphs, lists, `code` and *emphasis*. Lines before
# the first blank one say title and date, and are left out.

function text(line) {
  gsub(/&/, "\\&amp;", line)
  gsub(/</, "\\&lt;", line)
  while (match(line, /`[^`]+`/))
    line = substr(line, 1, RSTART - 1) "<code>" substr(line, RSTART + 1, RLENGTH - 2) "</code>" substr(line, RSTART + RLENGTH)
  while (match(line, /\*[^*]+\*/))
    line = substr(line, 1, RSTART - 1) "<em>" substr(line, RSTART + 1, RLENGTH - 2) "</em>" substr(line, RSTART + RLENGTH)
  return line
}

# Ends what is open and begins that kind of block, if it is not the one that is open.
function block(kind) {
  if (open != kind) {
    if (open) print "</" open ">"
    if (kind) print "<" kind ">"
    open = kind
  }
}

!body { if ($0 == "") body = 1; next }
$0 == "" { block(""); next }
/^#+ / { block(""); level = index($0, " "); print "<h" level ">" text(substr($0, level + 1)) "</h" level ">"; next }
/^- / { block("ul"); print "<li>" text(substr($0, 3)) "</li>"; next }
{ if (open != "p") block("p"); print text($0) }
END { block("") }
