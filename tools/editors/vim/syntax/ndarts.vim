" Vim syntax file of the ndarts language (docs/language.md). tests/cli/editors.py holds its words against the compiler's.
if exists("b:current_syntax")
    finish
endif

syntax keyword ndartsDefinition import op fn let network genotype space method search train
syntax keyword ndartsStatement on if then else for in do return require
syntax keyword ndartsOperator and or not
syntax keyword ndartsConstant true false

syntax keyword ndartsFunction abs avg_pool auxiliary_loss batch_norm candidates channels clamp concat conv cos crop depthwise detach
syntax keyword ndartsFunction deviation dropout exp flatten global_avg_pool gumbel height identity largest length linear log
syntax keyword ndartsFunction log_softmax logsumexp max max_pool mean min normal normal_like pad relu row_sum select shuffle sigmoid
syntax keyword ndartsFunction sin softmax split sqrt sum swish tanh uniform uniform_like width

" What may begin a line of search { }, train { }, space { } and method { }.
syntax keyword ndartsClause contained after alphas ascend batch batch_norm candidate candidates cell cells class_weights clip_over
syntax keyword ndartsClause contained cutmix data drop_path early_stop edge eigenvalue ema ema_warm_up epochs first frozen_epochs
syntax keyword ndartsClause contained hold_out inputs keep label_smoothing limit method mix_probability mixed mixup names network
syntax keyword ndartsClause contained node nodes noise objective order output paired_draws penalty per perturb run seed space split
syntax keyword ndartsClause contained most threshold warm_up weights
syntax keyword ndartsFlag contained absolute additive decay gaussian multiplicative relative uniform

syntax match ndartsNumber "\<\d\+\%(\.\d\+\)\?\%([eE][-+]\?\d\+\)\?\>"
syntax match ndartsName "\^[A-Za-z_][A-Za-z_0-9]*"
syntax match ndartsLabel "\<[A-Za-z_][A-Za-z_0-9.]*\ze\s*:"
syntax match ndartsSign "|\|?=\|==\|!=\|<=\|>=\|\.\."
syntax region ndartsString start=+"+ skip=+\\.+ end=+"+ oneline contains=ndartsEscape
syntax match ndartsEscape contained +\\\%(["\\nt]\|x\x\x\)+
syntax match ndartsComment "#.*" contains=@Spell

syntax cluster ndartsExpression contains=ndartsStatement,ndartsOperator,ndartsConstant,ndartsFunction,ndartsNumber,ndartsName,ndartsLabel,ndartsSign,ndartsString,ndartsComment
syntax region ndartsParentheses matchgroup=ndartsBracket start="(" end=")" contains=@ndartsExpression,ndartsParentheses
syntax region ndartsBlock matchgroup=ndartsBracket start="{" end="}" contains=@ndartsExpression,ndartsParentheses,ndartsBlock
syntax region ndartsFlags contained matchgroup=ndartsBracket start="{" end="}" contains=@ndartsExpression,ndartsFlag
" Their braces, after the word: as a keyword it could not begin a region.
syntax region ndartsSettings matchgroup=ndartsBracket start="\%(^\s*\%(search\|train\)\s*\)\@<={" end="}"
    \ contains=@ndartsExpression,ndartsParentheses,ndartsFlags,ndartsClause
syntax region ndartsSettings matchgroup=ndartsBracket start="\%(^\s*\%(space\|method\)\s[^#{=]*\)\@<={" start="\%(^\s*method\s[^#{]*)\s*\)\@<={" end="}"
    \ contains=@ndartsExpression,ndartsParentheses,ndartsCell,ndartsClause
syntax region ndartsCell contained matchgroup=ndartsBracket start="{" end="}" contains=@ndartsExpression,ndartsParentheses,ndartsCell,ndartsClause

highlight default link ndartsDefinition Keyword
highlight default link ndartsStatement Statement
highlight default link ndartsOperator Operator
highlight default link ndartsSign Operator
highlight default link ndartsConstant Boolean
highlight default link ndartsFunction Function
highlight default link ndartsClause Type
highlight default link ndartsFlag Constant
highlight default link ndartsNumber Number
highlight default link ndartsName Identifier
highlight default link ndartsLabel Label
highlight default link ndartsString String
highlight default link ndartsEscape SpecialChar
highlight default link ndartsComment Comment

setlocal commentstring=#\ %s
let b:current_syntax = "ndarts"
