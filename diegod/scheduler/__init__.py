"""The brain: it decides where work goes and repairs what has come apart.

`core` decides (converge, auction), `strategies` score, `brain` is the loop around them, `ports` is
all that it asks of the world. It holds no state that it can't rebuild from the BBS.
"""
