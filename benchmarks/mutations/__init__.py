"""Mutation tests of the commands, with damaged files and odd command lines."""
