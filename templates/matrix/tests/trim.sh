[ "$(text_trim '  a b ')" = "a b" ]
[ "$(text_trim '')" = "" ]
