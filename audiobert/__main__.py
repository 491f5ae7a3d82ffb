"""`python -m audiobert`: the command line, also for `accelerate launch -m audiobert`."""

from audiobert.cli import main


if __name__ == "__main__":
    main()
