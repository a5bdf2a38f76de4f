"""The text of `meshctl --help`, so that it needs no import of the option parser. Made by `make generate`."""

HELP = """\
Usage: meshctl [OPTIONS] COMMAND [ARGS]...

  A service mesh without a control plane: git is the control plane.

Options:
  --debug               Show a traceback when meshctl itself fails.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell, to copy it or customize the
                        installation.
  -h, --help            Show this message and exit.

Commands:
  validate       Validate: is the spec meaningful, and can the chosen proxies do it?
  lint           Lint: is the mesh wise? built-in policies and your own
  test           Test: does it do what its own tests say, request by request?
  build          Build: compile the spec to sidecar bundles
  apply          Apply: put a built bundle live on this host, proved, or rolled back
  diff           Diff: what a change means: two revisions, or the work tree and one
  drift          Drift: is what is deployed, and what runs, as the spec in git says?
  history        History: who changed what about a service, and when, from git
  blame          Blame: which commit last changed each setting of a service or route
  publish        Publish: commit what is built to a branch, for those who deploy it
  up             Up: run the whole mesh on this machine with real proxies
  bundle         Bundle: what systemd, compose or Kubernetes needs to run the sidecars
  segment        Segment: firewall rules so that nothing goes past the sidecars
  observe        Observe: scrape config, rules, alerts and dashboards for Prometheus and Grafana
  explain        Explain: what a finding means, which value a setting has, or what a request...
  who-can-reach  Who can reach: who reaches a service, by which ways, and which rules let them
  graph          Graph: a picture of the mesh: who calls whom, how, and what is wrong there
  capabilities   Capabilities: what each proxy can do, and what this mesh uses
  policy         Policies: do the rules find what their own cases say?
  certs          Certificates: the mesh's CA and the certificates of its sidecars
"""
