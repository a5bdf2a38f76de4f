"""Codes of range 9: drift, what is deployed and what runs against what git says."""

from __future__ import annotations

from meshctl.catalogue.code import Code

_BUILD = "Deploy what git says again; where the change was meant, make it in the spec."
_RELOAD = (
    "Run the bundle's `reload`: it brings the files in and proves it, or says why its proxy refuses them."
)

CODES = (
    Code(
        "MSH9001",
        "edited-file",
        "What a sidecar reads is not what was reviewed and built, and the next build takes it away.",
        _BUILD,
    ),
    Code(
        "MSH9002",
        "missing-file",
        "At its next start or reload the sidecar fails, or does without what the file says.",
        _BUILD,
    ),
    Code(
        "MSH9003",
        "extra-file",
        "Nobody built it. A proxy may read it one day, and a bundle that was renamed or removed may still run from it.",
        "Remove it, or keep it outside of the deployed folder.",
    ),
    Code(
        "MSH9004",
        "replaced-file",
        "A link, a pipe or a folder stands where a build makes a file, so that what is read is decided elsewhere.",
        _BUILD,
    ),
    Code(
        "MSH9005",
        "wrong-mode",
        "A key that others can read is everybody's, a file that others can write is theirs, and a script that nobody may run starts nothing.",
        "Set the mode: 0600 for keys, 0755 for `run` and `reload`, 0644 for everything else.",
    ),
    Code(
        "MSH9006",
        "missing-bundle",
        "Git has a sidecar that is not deployed: what calls it, or relies on its rules, fails.",
        "Deploy it; where this folder is for some sidecars alone, name them with `--only`.",
    ),
    Code(
        "MSH9007",
        "outdated-bundle",
        "What was reviewed and merged last is not what is deployed.",
        "Deploy what git says; `meshctl diff --deployed DIR` tells what will change.",
    ),
    Code(
        "MSH9008",
        "unknown-bundle",
        "Git has no such sidecar, so nobody reviews what it lets in, and its certificate is renewed for nobody.",
        "Stop it and remove its folder, or put its service back into the spec.",
    ),
    Code(
        "MSH9009",
        "altered-bundle",
        "Its manifest says the right build, and its files are not those of that build: the manifest was edited with them, or another version of meshctl wrote both.",
        _BUILD,
    ),
    Code(
        "MSH9010",
        "not-running",
        "Nobody listens where the sidecar's admin listener should be, so its service is out of the mesh.",
        "Start it with the bundle's `run`, and look at its log.",
    ),
    Code(
        "MSH9011",
        "foreign-program",
        "Whatever answers there is not the sidecar that git says; it may have taken the other ports, too.",
        "Find out what listens on that address (`ss -ltnp`), end it, and start the sidecar with the bundle's `run`.",
    ),
    Code(
        "MSH9012",
        "outdated-sidecar",
        "What was reviewed and merged last is not what serves: a rule that was taken back may still let somebody in.",
        "Deploy what git says, and run the bundle's `reload`.",
    ),
    Code(
        "MSH9013",
        "reload-not-taken",
        "The files are new and the proxy goes on with what it had: it refused them without a word, or nobody told it. At its next start it serves something else.",
        _RELOAD,
    ),
    Code(
        "MSH9014",
        "not-known",
        "Whether this is as git says cannot be told from here.",
        "Run it where the sidecars run, as the user who started them, and name those of this host with `--only`.",
    ),
)
