" Texts of the ndarts language.
autocmd BufNewFile,BufRead *.nd setfiletype ndarts
