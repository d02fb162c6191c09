"""`python -m diegod`: the same as the `diegod` command."""

from diegod.cli import main

if __name__ == "__main__":
    main()
