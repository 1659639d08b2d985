"""`python -m envy` is the `envy` command."""

from envy.cli.main import main

if __name__ == "__main__":
    main()
