"""Each prior trained anew, at one budget and on one split."""
