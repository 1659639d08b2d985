"""`envy depot`: finished packages on plain storage; each subcommand has a module of its own."""

from __future__ import annotations

from envy.cli.depot_prune import command as prune_command
from envy.cli.depot_pull import command as pull_command
from envy.cli.depot_push import command as push_command
from envy.cli.depot_verify import command as verify_command
from envy.cli.options import HELP_OPTIONS, CommandGroup, common_options

command = CommandGroup(
    name="depot",
    help="""Share finished packages between machines, on plain storage: a folder, a server or a
    bucket.

    A depot has one object for each package, named by its platform and its entry key, so a package
    is found if it was built of the same ingredients. `envy sync` asks the depots of --depot, of
    ENVY_DEPOT and of `depot` in envy.lua for what is missing, before it builds anything.
    """,
    short_help="Share finished packages between machines.",
    params=list(common_options()),
    context_settings=HELP_OPTIONS,
    commands={
        "prune": prune_command,
        "pull": pull_command,
        "push": push_command,
        "verify": verify_command,
    },
)
command.examples = (
    ("envy depot push --depot URL", "store what is installed"),
    ("envy depot pull --depot URL", "take what others have stored"),
    ("envy depot prune --unused-for 30d", "remove what nobody uses"),
)
