"""Whether what an issuer returned is the certificate that was asked for.

An issuer is a program of somebody else's, and a certificate with another name, key or root than the bundle's
takes its sidecar down, or says that it is somebody else. So every word is checked before a file is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.ir import WorkloadIdentity
from meshctl.pki import crl, parsing, profile
from meshctl.pki.identities import Holder
from meshctl.pki.pem import blocks

MOST_INTERMEDIATES = 2
"""The longest chain that NGINX is told to follow (``ssl_verify_depth``)."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Fault(NamedTuple):
    """What is wrong with an answer, and the way out where it is another than the catalogue's."""

    message: str
    fix: str = ""


_UNREADABLE = "Give what `meshctl certs sign` wrote or the issuer printed: PEM, the certificate first, then the CAs between it and the root."
_WITH_KEY = "Have the issuer send the certificate and its CAs alone; if that key is this sidecar's, get a certificate for a new one."
_OTHER_KEY = "Name the bundle whose request this answers, or run `meshctl certs csr` again and have that one signed; an issuer command signs the request on its standard input."
_NO_SIGN = "Have the issuer put its key's identifier into what it signs (RFC 5280, 4.2.1.1; openssl: `authorityKeyIdentifier = keyid`)."
_ENDED = "Have a new one issued, with `meshctl certs renew`, or `meshctl certs sign` of the same request."
_NOT_YET = "Compare the clocks of this host and the issuer's; if both are right, install it then."
_FOREIGN = "Have it issued by the CA whose root is in tls/ca.pem, and sent with the CAs in between; if the mesh has another root now, name its file with `--trust FILE`."
_OUTLIVES = "Have it issued for a shorter time, or renew the CA that signs it first."
_LISTS = "Have the issuer send the newest list of each of its CAs, or none."
_LIST_ALONE = (
    "Have the issuer send the certificates of all CAs whose lists it sends, but for roots in tls/ca.pem."
)
_REVOKED = "Get a certificate for a new key: `meshctl certs csr` again, or `meshctl certs renew`."
_SHORT = "Raise the longest lifetime that the issuer gives, or lower `lifetime` and `renewBefore` of `certificates` in the spec."


class AnswerError(FindingsError):
    """What an issuer returned is not the certificate of a bundle; exit code 1."""

    def __init__(self, holder: Holder, faults: Sequence[Fault]) -> None:
        super().__init__(
            finding("certificate-refused", None, f"certificate for `{holder}`: {each.message}", fix=each.fix)
            for each in faults
        )


class Answer(Struct, frozen=True):
    """A certificate that fits its bundle."""

    leaf: x509.Certificate
    chain_pem: bytes
    """The leaf and the CAs between it and the root, in that order, and no root."""
    lists_pem: bytes
    """The revocation lists that came with it, may be none."""


def leaf_of(answer: bytes, holder: Holder) -> x509.Certificate:
    """The first certificate of what an issuer returned. Raises AnswerError."""
    return _certificates(answer, holder)[0]


def check(
    answer: bytes,
    key: ec.EllipticCurvePublicKey,
    holder: Holder,
    trust_pem: bytes,
    now: datetime,
    *,
    carried: bool = False,
) -> Answer:
    """What an issuer returned, PEM, for this key of a bundle that trusts ``trust_pem``, at ``now`` (UTC).

    Lists count that a CA signed whom the bundle trusts. ``carried``: from a bundle, which in a rotation has lists of
    CAs whose certificates it does not have.
    Raises AnswerError with everything that is wrong, and UsageError for a trust bundle that holds no root.
    """
    # Each once: every list is verified with every CA of its name.
    leaf, *others = dict.fromkeys(_certificates(answer, holder))
    roots = roots_of(trust_pem)
    faults = [*_names(leaf, holder.identity), *_leaf(leaf, key, now)]
    chain = () if faults else _chain(leaf, others, roots, now)
    if chain is None:
        message = (
            "it does not lead to a root in tls/ca.pem, by CAs in force that came with it and may sign it"
        )
        faults.append(Fault(message, _FOREIGN))
    issuers = (chain or ())[1:]
    faults += _outlived(leaf, issuers)
    lists = _lists(answer)
    authorities = _authorities(roots, others, now)
    names = {each.subject for each in (*authorities, *others)}
    unknown = [each for _, each in lists if each is not None and each.issuer not in names]
    if unknown and not carried:
        faults.append(Fault("a revocation list came with it, and not the certificate of its CA", _LIST_ALONE))
    faults += _listed(lists, leaf, authorities, now)
    if faults:
        raise AnswerError(holder, faults)
    pem = b"".join(profile.pem(each) for each in (leaf, *issuers[:-1]))
    # Of a CA that the bundle does not trust yet nobody asks, and what is kept now would count later.
    trusted = {each.subject for each in authorities}
    kept = (text for text, each in lists if each is not None and (carried or each.issuer in trusted))
    return Answer(leaf, pem, b"".join(kept))


def other_key(where: str) -> Fault:
    """The certificate is for a key that is not the one in ``where``."""
    return Fault(f"the key that it is for is not in this bundle ({where})", _OTHER_KEY)


def older_lists() -> Fault:
    """The lists that came with it know less than those in the bundle."""
    message = "the revocation list that came with it is older than the bundle's, or lacks who stands there"
    return Fault(message, _LISTS)


def require_longer(
    leaf: x509.Certificate,
    holder: Holder,
    in_force: datetime | None,
    asked: timedelta,
    renew_before: timedelta,
    now: datetime,
) -> None:
    """Raises AnswerError where a certificate is due at once, at ``now``, and one in force ends later. All UTC."""
    end = leaf.not_valid_after_utc
    if in_force is None or end >= in_force or now < end - renew_before:
        return
    message = (
        f"it would end {end:{_MOMENT}}, inside its renewal window, and the one in force ends {in_force:{_MOMENT}}: "
        f"the issuer gave less than the {_span(asked)} asked for"
    )
    raise AnswerError(holder, [Fault(message, _SHORT)])


def _span(length: timedelta) -> str:
    days, rest = divmod(length, timedelta(days=1))
    return f"{days} days" if days and not rest else f"{length.total_seconds():g} s"


def roots_of(trust_pem: bytes, name: str = "the trust bundle") -> tuple[x509.Certificate, ...]:
    """The roots in the file ``name``; HAProxy and NGINX refuse a chain that ends before one. Raises UsageError."""
    try:
        found = parsing.certificates(trust_pem)
        roots = tuple(each for each in found if each.subject == each.issuer)
    except ValueError:
        roots = ()
    if not roots:
        raise UsageError(f"{name} holds no root certificate in PEM")
    return roots


def _certificates(answer: bytes, holder: Holder) -> tuple[x509.Certificate, ...]:
    kinds = [kind for kind, _ in blocks(answer)]
    if any(b"PRIVATE KEY" in kind for kind in kinds):
        message = "a private key came with it: whoever sent that could be this sidecar"
        raise AnswerError(holder, [Fault(message, _WITH_KEY)])
    try:
        found = tuple(parsing.certificate(text) for kind, text in blocks(answer) if kind == b"CERTIFICATE")
    except ValueError:
        found = ()
    if not found:
        raise AnswerError(holder, [Fault("there is no certificate in PEM that can be read", _UNREADABLE)])
    return found


def _names(leaf: x509.Certificate, identity: WorkloadIdentity) -> Iterator[Fault]:
    subject = leaf.subject.rfc4514_string()
    if subject != identity.distinguished_name:
        yield Fault(f"its subject is `{subject}`, not `{identity.distinguished_name}`")
    try:
        names = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    own = list(profile.alternative_names(identity))
    for kind, word in ((x509.UniformResourceIdentifier, "URI"), (x509.DNSName, "DNS")):
        there, wanted = ([str(each.value) for each in of if isinstance(each, kind)] for of in (names, own))
        if sorted(there) != sorted(wanted):
            yield Fault(
                f"its {word} names are {', '.join(there) or 'none'}, not {' and '.join(wanted)} alone"
            )
    others = [str(getattr(each, "value", each)) for each in names if type(each) not in map(type, own)]
    if others:
        yield Fault(f"it has other names: {', '.join(others)}")


def _leaf(leaf: x509.Certificate, key: ec.EllipticCurvePublicKey, now: datetime) -> Iterator[Fault]:
    if not parsing.has_key(leaf, key):
        yield Fault("its key is not the one that was asked for", _OTHER_KEY)
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield Fault("it is a CA's (CA:TRUE)")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature or usage.key_cert_sign:
        yield Fault("its key usage is not that of a leaf: digitalSignature, and no keyCertSign")
    ends = _extension(leaf, x509.ExtendedKeyUsage) or ()
    for oid, name in (
        (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
        (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
    ):
        if oid not in ends:
            yield Fault(f"its extended key usage lacks {name}")
    if _extension(leaf, x509.AuthorityKeyIdentifier) is None:
        yield Fault("it has no authority key identifier, by which its chain is found", _NO_SIGN)
    if now >= leaf.not_valid_after_utc:
        yield Fault(f"it ended {leaf.not_valid_after_utc:{_MOMENT}}", _ENDED)
    if now < leaf.not_valid_before_utc:
        yield Fault(f"it starts {leaf.not_valid_before_utc:{_MOMENT}}, which is not yet", _NOT_YET)


def _extension(leaf: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _chain(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> tuple[x509.Certificate, ...] | None:
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(now)
            .max_chain_depth(MOST_INTERMEDIATES)
            .build_client_verifier()
        )
        return tuple(verifier.verify(leaf, list(others)).chain)
    except (VerificationError, *parsing.REFUSALS):
        return None


def _outlived(leaf: x509.Certificate, issuers: Sequence[x509.Certificate]) -> Iterator[Fault]:
    end = min((each.not_valid_after_utc for each in issuers), default=leaf.not_valid_after_utc)
    if leaf.not_valid_after_utc > end:
        message = (
            f"it would end {leaf.not_valid_after_utc:{_MOMENT}}, after its issuer, which ends {end:{_MOMENT}}"
        )
        yield Fault(message, _OUTLIVES)


def _authorities(
    roots: Sequence[x509.Certificate], others: Sequence[x509.Certificate], now: datetime
) -> list[x509.Certificate]:
    """The roots, and the CAs in force that came along and that one of them, or one below, has signed."""
    found = list(roots)
    for _ in range(MOST_INTERMEDIATES):
        found += [
            each
            for each in others
            if each not in found
            and each.not_valid_before_utc <= now < each.not_valid_after_utc
            and any(_issued(each, one) for one in found)
        ]
    return found


def _issued(each: x509.Certificate, issuer: x509.Certificate) -> bool:
    constraints = _extension(each, x509.BasicConstraints)
    if constraints is None or not constraints.ca or each.issuer != issuer.subject:
        return False
    return parsing.is_signed(each, issuer)


def _lists(answer: bytes) -> list[tuple[bytes, x509.CertificateRevocationList | None]]:
    found: list[tuple[bytes, x509.CertificateRevocationList | None]] = []
    for kind, text in blocks(answer):
        if kind == b"X509 CRL":
            whole = text if text.endswith(b"\n") else text + b"\n"
            try:
                found.append((whole, parsing.revocation_list(text)))
            except ValueError:
                found.append((whole, None))
    return found


def _listed(
    lists: Sequence[tuple[bytes, x509.CertificateRevocationList | None]],
    leaf: x509.Certificate,
    authorities: Sequence[x509.Certificate],
    now: datetime,
) -> Iterator[Fault]:
    for _, each in lists:
        signers = [one for one in authorities if each is not None and one.subject == each.issuer]
        if each is None:
            yield Fault("a revocation list that came with it cannot be read", _LISTS)
        elif signers and not any(parsing.is_signed(each, one) for one in signers):
            message = "a revocation list that came with it is not signed by the CA in whose name it speaks"
            yield Fault(message, _LISTS)
        elif now >= crl.end([each]):
            yield Fault("a revocation list that came with it has ended", _LISTS)
        elif each.issuer == leaf.issuer and leaf.serial_number in crl.serials([each]):
            yield Fault("it stands in the revocation list that came with it", _REVOKED)
