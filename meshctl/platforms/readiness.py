"""How anything that can start a program learns whether a sidecar is ready: by what its admin listener says."""

from __future__ import annotations

from meshctl.ir import AdminListener

# One line, for units have no others. perl-base is in every Debian, where curl is not; `reload` needs it, too.
_PROGRAM = (
    "my($h,$p,$n)=@ARGV;$SIG{ALRM}=sub{die};while(1){eval{alarm 2;"
    "my $s=IO::Socket::IP->new(PeerHost=>$h,PeerPort=>$p);"
    'if($s){print $s "GET /ready HTTP/1.1\\r\\nHost: admin\\r\\nConnection: close\\r\\n\\r\\n";'
    'exit 0 if(<$s>//"")=~m{^HTTP/1.1 200 }}};alarm 0;exit 1 if--$n<1;select undef,undef,undef,.2}'
)


def command(admin: AdminListener, tries: int = 1) -> tuple[str, ...]:
    """Ends with 0 when ``GET /ready`` is answered 200; 1 after so many tries, each 0.2 s after the one before."""
    bind = admin.bind
    return ("/usr/bin/perl", "-MIO::Socket::IP", "-e", _PROGRAM, bind.address, str(bind.port), str(tries))
