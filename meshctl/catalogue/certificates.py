"""Codes of range 6: certificates."""

from __future__ import annotations

from meshctl.catalogue.code import Code

CODES = (
    Code(
        "MSH6001",
        "renewal-window-too-long",
        "A certificate that is due from its first day is renewed at every build and never settles.",
        "Make `renewBefore` shorter than `lifetime`.",
    ),
    Code(
        "MSH6002",
        "certificate-missing",
        "Without its certificate, its key and the trust bundle a sidecar does not start.",
        "Issue it with `meshctl certs issue`, or put one from your own CA there.",
    ),
    Code(
        "MSH6003",
        "certificate-unreadable",
        "A proxy that cannot read these files does not start, and keys reached through links may belong to something else.",
        "Remove the bundle's `tls` folder and run `meshctl certs issue`.",
    ),
    Code(
        "MSH6004",
        "certificate-mismatched-key",
        "Every proxy refuses to start with a key that is not its certificate's.",
        "Run `meshctl certs issue`; it makes a new pair.",
    ),
    Code(
        "MSH6005",
        "certificate-wrong-identity",
        "Peers verify the whole identity, so every connection from or to this sidecar would be refused.",
        "Run `meshctl certs issue`; it issues for the identity in the spec.",
    ),
    Code(
        "MSH6006",
        "certificate-foreign-ca",
        "Peers trust this mesh's CA only, so every connection from or to this sidecar would be refused.",
        "Run `meshctl certs issue` with this mesh's CA.",
    ),
    Code(
        "MSH6007",
        "certificate-expired",
        "Every connection from or to this sidecar is refused from that moment on.",
        "Run `meshctl certs issue`, deploy the bundle, and run `meshctl certs status` on a schedule.",
    ),
    Code(
        "MSH6008",
        "certificate-not-yet-valid",
        "Peers refuse a certificate before its start, and a clock that is wrong breaks other checks too.",
        "Set the clocks right, then run `meshctl certs issue`.",
    ),
    Code(
        "MSH6009",
        "certificate-due",
        "Nothing renews by itself: inside its renewal window a certificate waits for somebody to run a command, and then it expires.",
        "Run `meshctl certs issue` and deploy the bundle.",
    ),
    Code(
        "MSH6010",
        "issuer-ends-first",
        "A certificate that outlives its CA fails when the CA ends, earlier than it says itself.",
        "Renew the issuing CA with `meshctl certs rotate-ca --issuing`, the root with `--step begin`, or shorten `mesh.certificates.lifetime`.",
    ),
    Code(
        "MSH6011",
        "ca-missing",
        "Only a CA can issue certificates, and meshctl never makes one on the way.",
        "Make one with `meshctl certs init`, or name yours with `--ca DIR`.",
    ),
    Code(
        "MSH6012",
        "ca-unusable",
        "Certificates from a CA that does not fit together, or whose key others can read, prove nothing.",
        "Restore the folder from a backup, or make a new CA; its keys need mode 0600, and `tls/crl.pem` of the newest bundle may be its `crl.pem`.",
    ),
    Code(
        "MSH6013",
        "ca-exists",
        "Overwriting a CA cuts every sidecar off whose certificate it signed.",
        "Use the CA that is there, or make the new one in another folder.",
    ),
    Code(
        "MSH6014",
        "ca-tracked",
        "Who can read the repository, or any clone of it, could be any service of the mesh.",
        "Choose a folder that git ignores; if the key was ever committed, make a new CA.",
    ),
    Code(
        "MSH6015",
        "certificate-revoked",
        "With `mtls: {crl: true}` every sidecar that has the list refuses connections from and to this one, and this one does not start.",
        "Run `meshctl certs issue`; it issues a new pair. Deploy it where the old key was not stolen.",
    ),
    Code(
        "MSH6016",
        "crl-missing",
        "With `mtls: {crl: true}` a sidecar does not start without the revocation lists.",
        "Run `meshctl certs issue`, or put one list of each CA in the trust bundle there, as PEM in one file.",
    ),
    Code(
        "MSH6017",
        "crl-unreadable",
        "With `mtls: {crl: true}` a sidecar does not start when it cannot read the revocation lists.",
        "Run `meshctl certs issue`, which replaces the file.",
    ),
    Code(
        "MSH6018",
        "crl-expired",
        "An old list may lack who was revoked since, so from that moment on every connection is refused.",
        "Run `meshctl certs issue`, deploy the bundles' `tls` folders, and run `meshctl certs status` on a schedule.",
    ),
    Code(
        "MSH6019",
        "crl-outdated",
        "A certificate that was revoked since is still accepted by this sidecar.",
        "Run `meshctl certs issue` and deploy the bundle's `tls` folder.",
    ),
    Code(
        "MSH6020",
        "crl-due",
        "Nothing renews by itself: a revocation list that ends stops every connection.",
        "Run `meshctl certs issue` and deploy the bundles' `tls` folders.",
    ),
    Code(
        "MSH6021",
        "revocation-unchecked",
        "Sidecars look into revocation lists only where the spec asks for it; the others accept the certificate until its end.",
        "Write `mtls: {crl: true}` under `mesh`, build, issue and deploy.",
    ),
    Code(
        "MSH6022",
        "rotation-behind",
        "The next step of a rotation cuts off every sidecar that the one before has not reached.",
        "Deploy the bundle's `tls` folder, reload the sidecar, and take the step again.",
    ),
    Code(
        "MSH6023",
        "certificate-other-root",
        "A rotation cannot end before every certificate of the CA that it takes out of use has been replaced.",
        "Run `meshctl certs issue` and deploy the bundle.",
    ),
    Code(
        "MSH6024",
        "trust-outdated",
        "In a rotation every sidecar has to trust both roots, and after it none may trust the old one.",
        "Run `meshctl certs issue` and deploy the bundle's `tls` folder.",
    ),
    Code(
        "MSH6025",
        "ca-due",
        "No certificate may outlive its CA, so soon before its end the CA can issue no more, and the mesh stops with the certificates that it has.",
        "Renew the issuing CA with `meshctl certs rotate-ca --issuing`; where the root ends, begin a rotation with `--step begin`.",
    ),
    Code(
        "MSH6030",
        "request-refused",
        "Who signs what is asked for gives a name to whoever asks.",
        "Make the request with `meshctl certs csr` where the sidecar runs, and name the bundle that it is for with `--for`.",
    ),
    Code(
        "MSH6031",
        "certificate-refused",
        "With it the sidecar would not start, would be refused by its peers, or would be somebody else. Nothing was replaced.",
        "Have the issuer sign exactly the identity in the bundle's `identity.json`; docs/certificates.md shows how for several.",
    ),
    Code(
        "MSH6032",
        "key-tracked",
        "A key that is in git once is in every clone for ever, and whoever has it can be this sidecar.",
        "Run `git rm -r --cached` on the bundle's `tls` folder, and get a new key.",
    ),
)
