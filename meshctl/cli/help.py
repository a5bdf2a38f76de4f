HELP = "meshctl\n"
