"""Has the suite teeth? The product with one measure or guard taken away, and who notices.

    python -m tests.mutants [NAME…]     every mutant, or those whose names begin so

==============  ====================================================================================
`mutant`        what a mutant is: a name, a sentence, how it is installed, where it has to die
`surgery`       how it is installed: by attributes of the real classes, each call of it counted
`table`         all of them; the modules named after a part of the product hold its own
`plugin`        a pytest plugin that installs one: it sees exactly the tests that the product has
`chance`        how many seeds of a simulation find one
`trial`         one mutant on trial, in processes of its own
`report`        the verdicts as a table
==============  ====================================================================================

A mutant has to be found out by every test that is named for it, by an assertion or by the product's
own `Fatal`; chance alone is not enough, since a rare history is found today and missed tomorrow. A
mutant whose target has vanished, or whose code no test reached, is a failure of its own kind: then
the table has lost touch with the product.
"""
