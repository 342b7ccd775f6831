"""What mapping would fit these exports? A proposal for review: `lodestar init`.

`matching` says which export is which of our tables, `looks` how its cells are written, `vocabulary`
holds the field's words; `draft` puts settings together, `doubts` says what a person must decide,
`offered` what groups could be made of, `writing` makes the text, `proposing` is the command's body.
It may guess; a run never does.
"""
