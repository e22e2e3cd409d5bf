[ "$(text_repeat 3 ab)" = ababab ]
[ "$(text_repeat 0 ab)" = "" ]
