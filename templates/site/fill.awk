# The template with a title in the place of @TITLE@ and standard input in that of @CONTENT@:
# awk -v title=TITLE -f fill.awk template.html -
function with_title(line, at) {
  while (at = index(line, "@TITLE@")) line = substr(line, 1, at - 1) title substr(line, at + 7)
  return line
}
FILENAME == "template.html" { template[++count] = $0; next }
{ content = content $0 "\n" }
END {
  for (i = 1; i <= count; i++)
    if (template[i] == "@CONTENT@") printf "%s", content
    else print with_title(template[i])
}
